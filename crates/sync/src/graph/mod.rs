//! What an image consists of at its source: root, children, blobs; fetched once for all destinations, bounded, and
//! narrowed by the platform filter.
