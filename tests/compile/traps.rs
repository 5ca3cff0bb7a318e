//! What stands in the way of recording.
