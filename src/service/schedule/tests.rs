//! A week of simulated time.
