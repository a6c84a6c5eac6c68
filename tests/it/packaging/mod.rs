//! Manifests for Kubernetes, the chart, the action and the release.

mod action;
mod helm;
mod kustomize;
mod manifests;
mod release;
#[cfg(feature = "service")]
mod running;
