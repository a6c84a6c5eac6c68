//! The stall watchdog: progress, not time, is what a timeout watches.
