//! One parser for YAML and JSON, the only place that knows the parsing library.
