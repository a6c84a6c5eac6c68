//! An upload to a fake registry.

use std::collections::VecDeque;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use image_syncer_registry::{BlobSource, BlobStream, Digest, Error, Repository};
use tokio::sync::OwnedSemaphorePermit;

use crate::store::Session;
use crate::transfer::fake::{Fake, Take};

pub(super) struct FakeSession {
    pub(super) fake: Fake,
    pub(super) repository: Repository,
    pub(super) digest: Digest,
    /// A mount was asked for.
    pub(super) instead_of_mount: bool,
    /// Its place in the window of the registry.
    pub(super) place: Option<OwnedSemaphorePermit>,
}

/// Two uploads of a blob to a repository at the same time are what must never be.
struct Sending(Fake, (Repository, Digest));

impl Drop for Sending {
    fn drop(&mut self) {
        self.0.world().sending.remove(&self.1);
    }
}

impl FakeSession {
    fn start(&self) -> (Sending, Option<Take>) {
        let key = (self.repository.clone(), self.digest.clone());
        let mut world = self.fake.world();
        assert!(world.sending.insert(key.clone()), "sent twice at a time");
        let script = world.takes.get_mut(&self.repository);
        let script = script.and_then(VecDeque::pop_front);
        (Sending(self.fake.clone(), key), script)
    }
    /// Reads `source` from `offset` up to `end` bytes in all, or to its end, on top of `bytes`.
    async fn read(
        &self,
        source: &dyn BlobSource,
        bytes: &mut Vec<u8>,
        end: usize,
    ) -> Result<BlobStream, Error> {
        let mut stream = source.open(bytes.len() as u64).await?;
        self.go_on(&mut stream, bytes, end).await?;
        Ok(stream)
    }
    async fn go_on(
        &self,
        stream: &mut BlobStream,
        bytes: &mut Vec<u8>,
        end: usize,
    ) -> Result<(), Error> {
        while bytes.len() < end {
            let Some(chunk) = stream.next().await else {
                return Ok(());
            };
            let chunk = chunk?;
            bytes.extend_from_slice(&chunk);
            self.fake.receive(&self.repository, chunk.len());
            self.fake.dawdle().await;
        }
        Ok(())
    }
    async fn take(&self, source: &dyn BlobSource, script: Option<Take>) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let all = usize::MAX;
        match script {
            None => drop(self.read(source, &mut bytes, all).await?),
            Some(Take::Hold(gate)) => {
                gate.pass().await;
                drop(self.read(source, &mut bytes, all).await?);
            }
            Some(Take::Fail(n, kind)) => {
                let _stream = self.read(source, &mut bytes, n).await?;
                let host = self.repository.registry().as_str();
                return Err(Error::new(kind, "upload", host, "the test says no"));
            }
            Some(Take::Restart(n)) => {
                drop(self.read(source, &mut bytes, n).await?);
                bytes.clear();
                drop(self.read(source, &mut bytes, all).await?);
            }
            Some(Take::Resume(n)) => {
                drop(self.read(source, &mut bytes, n).await?);
                drop(self.read(source, &mut bytes, all).await?);
            }
            Some(Take::Pause(n, gate)) => {
                let mut stream = self.read(source, &mut bytes, n).await?;
                gate.pass().await;
                self.go_on(&mut stream, &mut bytes, all).await?;
            }
        }
        Ok(bytes)
    }
}

impl Session for FakeSession {
    fn is_instead_of_mount(&self) -> bool {
        self.instead_of_mount
    }
    fn reserve(&mut self) -> BoxFuture<'_, Result<(), Error>> {
        let window = self.fake.places(self.repository.registry());
        async move {
            self.place = Some(window.acquire_owned().await.unwrap());
            Ok(())
        }
        .boxed()
    }
    fn send<'a>(self: Box<Self>, source: &'a dyn BlobSource) -> BoxFuture<'a, Result<(), Error>>
    where
        Self: 'a,
    {
        async move {
            assert!(self.place.is_some(), "sent without a place");
            let (_sending, script) = self.start();
            self.fake.dawdle().await;
            let bytes = match self.take(source, script).await {
                Err(_) if self.fake.world().insistent.contains(&self.repository) => {
                    self.take(source, None).await?
                }
                taken => taken?,
            };
            let mut world = self.fake.world();
            assert!(world.contents[&self.digest] == bytes, "other bytes");
            world.hold(&self.repository, &self.digest);
            world.log.push(format!("done {}", self.repository));
            Ok(())
        }
        .boxed()
    }
}
