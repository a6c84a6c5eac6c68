//! Tests of the queue and the limit, over stores in memory.
