//! A registry in this process that counts requests, injects faults and checks clients; builders for images of every
//! shape; and the real `docker-registry` as a child process.
//!
//! This crate shares no code with the client that it tests: a misunderstanding of the protocol must not hide on both
//! sides. A conformance suite shows that the registry answers as real ones do: it sends the same raw requests to it and
//! to `docker-registry`, and requires the same answers, header by header.
//!
//! # A test
//!
//! ```
//! use testkit::{Action, Cut, Fault, Image, Kind, Layer, Profile, Registry};
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let source = Registry::start(Profile::distribution()).await;
//! let destination = Registry::start(Profile::strict()).await;
//! source.push("team/app", Some("v1"), &Image::single([Layer::synthetic(5_000_000, 1)]));
//! source.fault(
//!     Fault::on(Kind::BlobGet).nth(2),
//!     Action::CutResponse { after: 1_000_000, how: Cut::Reset },
//! );
//!
//! // … the program under test copies from source.host() to destination.host() …
//! # destination.push("team/app", Some("v1"), &Image::single([Layer::synthetic(5_000_000, 1)]));
//! # let accept = [("accept", testkit::image::media::ACCEPT_ALL)];
//! # let client = testkit::raw::Client::new(source.url());
//! # let get = client.send("GET".parse().unwrap(), "/v2/team/app/manifests/v1", &accept, testkit::raw::Payload::None);
//! # get.await.unwrap();
//!
//! destination.verify_complete("team/app", "v1").unwrap();
//! assert!(destination.problems().is_empty());
//! assert_eq!(source.count(|r| r.kind == Kind::ManifestGet), 1);
//! # }
//! ```
//!
//! # The parts
//!
//! - [`Registry`] listens on a free loopback port, plain or with TLS, over HTTP/1.1 and HTTP/2. Two more ports belong
//!   to it: a token server and a storage host, since another port is another host to a client. It keeps a log of all
//!   [`Request`]s, in order of arrival, with statuses and bytes.
//! - [`Profile`] describes its behaviour: plain data, with a constructor for each known registry and a field for each
//!   difference between registries. [`Auth`] describes permissions, [`TokenRules`] the token server.
//!   [`RegistryBuilder::harbor`] and similar functions set both.
//! - [`ListingApi`](profile::ListingApi) describes the vendor's API for lists of repositories and tags, with faults of
//!   its content. Its requests are of [`Kind::Listing`].
//! - [`Fault`] and [`Action`] change the result of selected requests: answers, cuts and stalls at a byte, damage, lost
//!   replies, expired tokens, delays.
//! - [`State`] is its contents, to inspect and to change without a request.
//! - [`image`] builds its contents. Layers are real archives or [synthetic](Layer::synthetic): those need no memory, so
//!   that gigabytes can be pulled; [`RegistryBuilder::discard_blobs`] does the same for pushes.
//! - [`raw`] is a client without any logic of its own.
//! - [`real`] runs `docker-registry`, with TLS, passwords or signed tokens.
//! - [`relay`] counts the bytes sent to any server, and stops at a byte.
//!
//! # Checks
//!
//! [`Registry::verify_complete`] walks an image and hashes everything. [`Registry::problems`] lists things that a
//! correct client never does, each with the request:
//!
//! - a credential or a cookie at the storage host;
//! - a manifest GET or HEAD whose `Accept` lacks one of the four current manifest types, so that it may get a converted
//!   manifest;
//! - manifest types in the `Accept` of an upload;
//! - a POST without a body and without `Content-Length: 0` (HTTP/1.1);
//! - `Content-Range` in an upload with `bytes` or a total in it, or without `Content-Length`;
//! - a manifest without `Content-Type`, or with one that contradicts its `mediaType`;
//! - a tag for an incomplete manifest, if the registry accepts it.
//!
//! # Details
//!
//! - **Runtime.** [`RegistryBuilder::start`] runs on the runtime of the test and follows its clock, even a paused one.
//!   A test that blocks its thread, for example to wait for a child process, needs
//!   [`RegistryBuilder::start_on_thread`].
//! - **Byte counts.** Bytes of bodies are counted when they are read from or handed to the connection.
//!   [`Registry::bytes_received`] and [`Registry::bytes_sent`] count only blobs: received ones whatever the result of
//!   an upload, sent ones only in successful answers. A request that the client has given up may still be read for a
//!   moment: [`Registry::quiet`] waits for the end.
//! - **Cuts** are exact over HTTP/1.1: a client gets `after` bytes of the body, then the end. A cut at or after the end
//!   of a body does nothing. Over HTTP/2 the whole connection is cut, and bytes that flow control held back are lost.
//! - **Early answers.** An endpoint that refuses a request without reading its body answers immediately, reads up to
//!   [`Profile::drain_limit`], and closes the connection if more comes, as Go's server does. Answers by a fault come
//!   after the whole body, unless they are marked [`early`](Answer::early).
//! - **Order of faults.** The first installed fault that fires decides; all that match count.
#![allow(
    clippy::expect_used,
    reason = "test support: a fixture that cannot be set up must stop the test"
)]
#![allow(
    clippy::return_self_not_must_use,
    reason = "the crate is full of builders, and whoever drops one sees it in the test"
)]

pub mod auth;
pub mod blob;
pub mod digest;
pub mod elf;
pub mod fault;
pub mod fuzz;
pub mod image;
mod lock;
pub mod log;
pub mod profile;
pub mod programs;
pub mod raw;
pub mod real;
pub mod relay;
mod reply;
pub mod server;
pub mod state;
pub mod tls;

pub use auth::{Access, Auth, Grant, TokenPlace, TokenRules};
pub use blob::Blob;
pub use fault::{Action, Answer, Cut, Fault, Gate, RetryAfter};
pub use image::{Image, Layer, Manifest, Platform};
pub use log::{Authorization, Kind, Request, Totals};
pub use profile::Profile;
pub use relay::Relay;
pub use server::{Registry, RegistryBuilder};
pub use state::State;
pub use tls::{CertificateFault, Tls};
