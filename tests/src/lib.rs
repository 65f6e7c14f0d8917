//! What crosses crates: whole meetings, faults, dependency rules, benchmarks.
#![forbid(unsafe_code)]
