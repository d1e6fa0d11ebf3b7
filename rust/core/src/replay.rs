//! Replay of a trace.
