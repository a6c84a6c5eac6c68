//! A repository of a fake registry.

use std::collections::VecDeque;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use image_syncer_registry::{
    BlobStream, Descriptor, Digest, Error, ErrorKind, IndexedReferrers, Manifest, ManifestHead,
    ManifestPresence, Presence, Repository, Target,
};

use crate::store::{FallbackTag, Opened, Session, Store, Tags};
use crate::transfer::fake::session::FakeSession;
use crate::transfer::fake::{Fake, Post, Read};

pub(super) struct FakeStore {
    pub(super) fake: Fake,
    pub(super) repository: Repository,
}

impl FakeStore {
    fn error(&self, kind: ErrorKind) -> Error {
        let host = self.repository.registry().as_str();
        Error::new(kind, "do as told", host, "the test says no")
    }
}

/// Counts a download for as long as it is open.
struct Counted(Fake);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.world().streams -= 1;
    }
}

impl Store for FakeStore {
    fn repository(&self) -> &Repository {
        &self.repository
    }
    fn open_blob<'a>(
        &'a self,
        blob: &'a Descriptor,
        offset: u64,
    ) -> BoxFuture<'a, Result<BlobStream, Error>> {
        async move {
            let (script, bytes, chunk) = {
                let mut world = self.fake.world();
                world.log.push(format!("open {} {offset}", self.repository));
                assert!(world.holds(&self.repository, &blob.digest));
                let script = world.reads.get_mut(&self.repository);
                let script = script.and_then(VecDeque::pop_front);
                let bytes = world.contents[&blob.digest].slice(usize::try_from(offset).unwrap()..);
                (script, bytes, world.chunk)
            };
            self.fake.dawdle().await;
            match &script {
                Some(Read::Fail(kind)) => return Err(self.error(*kind)),
                Some(Read::Hold(gate)) => gate.pass().await,
                _ => {}
            }
            let counted = {
                let mut world = self.fake.world();
                world.streams += 1;
                world.most_streams = world.most_streams.max(world.streams);
                Counted(self.fake.clone())
            };
            let error = match script {
                Some(Read::Break(_, kind)) => Some(self.error(kind)),
                _ => None,
            };
            let bytes = stream::unfold(
                (0, script, error, counted),
                move |(at, script, mut error, counted)| {
                    let bytes = bytes.clone();
                    async move {
                        counted.0.dawdle().await;
                        let mut end = bytes.len();
                        match &script {
                            Some(Read::Break(n, _)) if at == *n => {
                                let error = error.take()?;
                                return Some((Err(error), (at, script, None, counted)));
                            }
                            Some(Read::Panic(n)) => {
                                assert!(at != *n, "told to panic");
                                end = *n;
                            }
                            Some(Read::Pause(n, gate)) if at == *n => gate.pass().await,
                            Some(Read::Break(n, _)) => end = *n,
                            Some(Read::Pause(n, _)) if at < *n => end = *n,
                            _ => {}
                        }
                        let end = end.min(at + chunk).min(bytes.len());
                        let part = bytes.slice(at..end);
                        if part.is_empty() {
                            return None;
                        }
                        counted.0.world().read += part.len();
                        Some((Ok(part), (end, script, error, counted)))
                    }
                },
            );
            Ok(BlobStream::new(bytes.fuse()))
        }
        .boxed()
    }
    fn open_upload<'a>(
        &'a self,
        blob: &'a Descriptor,
        from: Option<&'a Repository>,
    ) -> BoxFuture<'a, Result<Opened, Error>> {
        async move {
            let script = {
                let mut world = self.fake.world();
                world.log.push(match from {
                    Some(from) => format!("mount {} from {from}", self.repository),
                    None => format!("post {}", self.repository),
                });
                let script = world.posts.get_mut(&self.repository);
                script.and_then(VecDeque::pop_front)
            };
            self.fake.dawdle().await;
            match script {
                Some(Post::Fail(kind)) => return Err(self.error(kind)),
                Some(Post::Hold(gate)) => gate.pass().await,
                Some(Post::Panic) => panic!("told to panic"),
                None => {}
            }
            let mut world = self.fake.world();
            if from.is_some_and(|from| world.would_mount(from, &blob.digest)) {
                world.hold(&self.repository, &blob.digest);
                return Ok(Opened::Present { mounted: true });
            }
            if from.is_none() && world.holds(&self.repository, &blob.digest) {
                return Ok(Opened::Present { mounted: false });
            }
            Ok(Opened::Session(Box::new(FakeSession {
                fake: self.fake.clone(),
                repository: self.repository.clone(),
                digest: blob.digest.clone(),
                instead_of_mount: from.is_some(),
                place: None,
            })))
        }
        .boxed()
    }
    fn resolve<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, Result<Option<ManifestHead>, Error>> {
        unreachable!()
    }
    fn probe<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, Result<Option<ManifestHead>, Error>> {
        unreachable!()
    }
    fn resolve_for_push<'a>(
        &'a self,
        _: &'a Target,
    ) -> BoxFuture<'a, Result<ManifestPresence, Error>> {
        unreachable!()
    }
    fn manifest<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, Result<Manifest, Error>> {
        unreachable!()
    }
    fn read_blob<'a>(&'a self, _: &'a Descriptor, _: u64) -> BoxFuture<'a, Result<Bytes, Error>> {
        unreachable!()
    }
    fn blob_size<'a>(&'a self, _: &'a Descriptor) -> BoxFuture<'a, Result<Option<u64>, Error>> {
        unreachable!()
    }
    fn find_blob<'a>(&'a self, _: &'a Descriptor) -> BoxFuture<'a, Result<Presence, Error>> {
        unreachable!()
    }
    fn open_session<'a>(
        &'a self,
        blob: &'a Descriptor,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, Error>> {
        async move {
            let log = format!("session {}", self.repository);
            self.fake.world().log.push(log);
            self.fake.dawdle().await;
            Ok(Box::new(FakeSession {
                fake: self.fake.clone(),
                repository: self.repository.clone(),
                digest: blob.digest.clone(),
                instead_of_mount: false,
                place: None,
            }) as Box<dyn Session>)
        }
        .boxed()
    }
    fn put_manifest<'a>(
        &'a self,
        _: &'a Target,
        _: &'a Manifest,
    ) -> BoxFuture<'a, Result<(), Error>> {
        unreachable!()
    }
    fn referrers<'a>(
        &'a self,
        _: &'a Digest,
        _: FallbackTag,
    ) -> BoxFuture<'a, Result<Vec<Descriptor>, Error>> {
        unreachable!()
    }
    fn referrers_for_push<'a>(
        &'a self,
        _: &'a Digest,
    ) -> BoxFuture<'a, Result<Vec<Descriptor>, Error>> {
        unreachable!()
    }
    fn attach<'a>(
        &'a self,
        _: &'a Digest,
        _: &'a [Descriptor],
    ) -> BoxFuture<'a, Result<IndexedReferrers, Error>> {
        unreachable!()
    }
    fn tags(&self) -> Box<dyn Tags> {
        unreachable!()
    }
}
