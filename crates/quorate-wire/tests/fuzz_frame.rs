//! The fuzz target of the wire: a bounded run on stable with `cargo test`, an open-ended one with
//! `cargo bolero test any_bytes_cost_an_error_at_most`.

use quorate_core::{ClusterId, Record};
use quorate_wire::{
    FrameDecoder, FrameKind, Head, Hello, Refusal, Rejections, Welcome, decode_datagram,
};

const HOME: ClusterId = ClusterId(7);

#[test]
fn any_bytes_cost_an_error_at_most() {
    bolero::check!().with_iterations(10_000).with_max_len(512).for_each(|input: &[u8]| {
        raw(input);
        framed(input);
    });
}

/// The bytes as they come, as a datagram and as a stream.
fn raw(input: &[u8]) {
    let _ = decode_datagram(input);
    let mut decoder = FrameDecoder::new(HOME);
    drain(&mut decoder, input);
    let mut decoder = FrameDecoder::new(HOME);
    decoder.open(1);
    drain(&mut decoder, input);
}

/// The bytes behind a header in order: what a peer with a correct checksum can do.
fn framed(input: &[u8]) {
    let mut stream = Vec::new();
    for kind in FrameKind::ALL {
        Head::new(kind, HOME).encode_raw(input, &mut stream).expect("512 bytes are in every limit");
    }
    let mut decoder = FrameDecoder::new(HOME);
    decoder.open(1);
    assert_eq!(drain(&mut decoder, &stream), FrameKind::ALL.len());
}

/// Pushes in pieces whose size the input chooses; returns how many frames came.
fn drain(decoder: &mut FrameDecoder, stream: &[u8]) -> usize {
    let piece = 1 + usize::from(stream.first().copied().unwrap_or(0)) % 97;
    let (mut frames, mut rejected) = (0, Rejections::default());
    for piece in stream.chunks(piece) {
        assert_eq!(decoder.push(piece), piece.len());
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => {
                    frames += 1;
                    let read = [
                        frame.read::<Record>().is_ok(),
                        frame.read::<Hello>().is_ok(),
                        frame.read::<Welcome>().is_ok(),
                        frame.read::<Refusal>().is_ok(),
                    ];
                    if read == [false; 4] {
                        rejected.body();
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    rejected.frame(&error);
                    return frames;
                }
            }
        }
    }
    frames
}
