//! Manifests for Kubernetes, the chart, the action and the release.

mod kustomize;
mod manifests;
