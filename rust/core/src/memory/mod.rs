//! The memory system.
