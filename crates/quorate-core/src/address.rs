//! Where a node is reached, as text.

/// The longest address, in bytes: a name of DNS, a colon and a port.
pub const ADDRESS_MAX: usize = 260;

/// Whether `text` has the form `host:port` and is not too long. Colons of the host's own stand in
/// brackets, as in `[::1]:7946`.
#[must_use]
pub fn is_address(text: &str) -> bool {
    let is_host = |host: &str| {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        bare.map_or_else(|| !host.is_empty() && !host.contains(':'), |bare| !bare.is_empty())
    };
    text.len() <= ADDRESS_MAX
        && text.rsplit_once(':').is_some_and(|(host, port)| {
            is_host(host) && port.parse::<u16>().is_ok_and(|port| port != 0)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for good in ["a:1", "node-1.example.org:7946", "10.0.0.1:65535", "[::1]:7946"] {
            assert!(is_address(good), "{good}");
        }
        for bad in ["", "a", ":1", "a:", "a:0", "a:65536", "a:b:7946", "::1:7946", "[]:1", "[::1]"]
        {
            assert!(!is_address(bad), "{bad}");
        }
    }
}
