//! Runnable examples of quorate; see the files in `examples/`.
