//! Compares how two policies decide the same cases.
