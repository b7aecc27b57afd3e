//! Conditions: their types, the reasons of `Ready`, and how one is set.
