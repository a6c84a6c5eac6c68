//! An upload to a repository, and a download from one.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, Stream, StreamExt, TryFutureExt, stream};
use image_syncer_registry::{BlobSource, BlobStream, Descriptor, Digest, Error, ErrorKind, Target};
use tokio::sync::OwnedSemaphorePermit;

use crate::Repository;
use crate::store::memory::script::{ReadScript, ReceiveScript};
use crate::store::memory::{MemoryStores, error};
use crate::store::{StoreError, StoreResult, UploadSession};

pub(super) struct MemorySession {
    stores: MemoryStores,
    repository: Repository,
    blob: Descriptor,
    /// A mount was requested.
    instead_of_mount: bool,
    /// Its slot among the uploads of the registry.
    slot: Option<OwnedSemaphorePermit>,
}

/// An upload in progress. Two uploads of a blob to a repository at the same time are always a fault.
struct Sending(MemoryStores, (Repository, Digest));

/// A download in progress.
struct Reading(MemoryStores);

impl Drop for Sending {
    fn drop(&mut self) {
        self.0.state().scripts.sending.remove(&self.1);
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.state().scripts.streams -= 1;
    }
}

impl Reading {
    fn start(stores: &MemoryStores) -> Self {
        let scripts = &mut stores.state().scripts;
        scripts.streams += 1;
        scripts.most_streams = scripts.most_streams.max(scripts.streams);
        Self(stores.clone())
    }
}

/// Streams `bytes` in chunks, as `script` demands.
pub(super) fn read(
    stores: &MemoryStores,
    repository: &Repository,
    bytes: Bytes,
    script: Option<ReadScript>,
) -> impl Stream<Item = Result<Bytes, Error>> + use<> {
    let chunk = stores.state().behaviour.chunk;
    let mut broken = match &script {
        Some(ReadScript::Break(_, kind)) => Some(error(*kind, &repository.endpoint().to_string())),
        _ => None,
    };
    let reading = Reading::start(stores);
    let state = (0, reading);
    stream::unfold(state, move |(at, reading)| {
        let (bytes, script) = (bytes.clone(), script.clone());
        let error = broken.clone();
        if matches!(&script, Some(ReadScript::Break(end, _)) if at == *end) {
            broken = None;
        }
        async move {
            reading.0.delay().await;
            let mut end = bytes.len();
            match &script {
                Some(ReadScript::Break(limit, _)) if at == *limit => {
                    return Some((Err(error?), (at, reading)));
                }
                Some(ReadScript::Panic(limit)) => {
                    assert!(at != *limit, "a script demands a panic");
                    end = *limit;
                }
                Some(ReadScript::Pause(limit, gate)) if at == *limit => gate.pass().await,
                Some(ReadScript::Break(limit, _)) => end = *limit,
                Some(ReadScript::Pause(limit, _)) if at < *limit => end = *limit,
                _ => {}
            }
            let end = end.min(at + chunk).min(bytes.len());
            let part = bytes.slice(at..end);
            if part.is_empty() {
                return None;
            }
            reading.0.state().scripts.bytes_read += part.len();
            Some((Ok(part), (end, reading)))
        }
    })
}

impl MemorySession {
    pub(super) fn new(
        stores: &MemoryStores,
        repository: &Repository,
        blob: &Descriptor,
        instead_of_mount: bool,
    ) -> Self {
        Self {
            stores: stores.clone(),
            repository: repository.clone(),
            blob: blob.clone(),
            instead_of_mount,
            slot: None,
        }
    }
    fn start(&self) -> (Sending, Option<ReceiveScript>) {
        let key = (self.repository.clone(), self.blob.digest.clone());
        let scripts = &mut self.stores.state().scripts;
        let is_only = scripts.sending.insert(key.clone());
        assert!(is_only, "{} is sent twice at a time", self.repository);
        let script = scripts.next_receive(&self.repository);
        (Sending(self.stores.clone(), key), script)
    }
    /// Reads the rest of `source`, up to `end` bytes in all, into `bytes`.
    async fn receive(
        &self,
        source: &dyn BlobSource,
        bytes: &mut Vec<u8>,
        end: usize,
    ) -> Result<BlobStream, Error> {
        let mut stream = source.open(bytes.len() as u64).await?;
        self.receive_from(&mut stream, bytes, end).await?;
        Ok(stream)
    }
    async fn receive_from(
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
            self.count(chunk.len());
            self.stores.delay().await;
        }
        Ok(())
    }
    fn count(&self, bytes: usize) {
        let received = &mut self.stores.state().scripts.received;
        *received.entry(self.repository.clone()).or_default() += bytes;
    }
    async fn receive_all(
        &self,
        source: &dyn BlobSource,
        script: Option<ReceiveScript>,
    ) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let all = usize::MAX;
        match script {
            None => {}
            Some(ReceiveScript::Hold(gate)) => gate.pass().await,
            Some(ReceiveScript::Fail(end, kind)) => {
                let _stream = self.receive(source, &mut bytes, end).await?;
                return Err(error(kind, &self.repository.endpoint().to_string()));
            }
            Some(ReceiveScript::Restart(end)) => {
                drop(self.receive(source, &mut bytes, end).await?);
                bytes.clear();
            }
            Some(ReceiveScript::Resume(end)) => {
                drop(self.receive(source, &mut bytes, end).await?);
            }
            Some(ReceiveScript::Pause(end, gate)) => {
                let mut stream = self.receive(source, &mut bytes, end).await?;
                gate.pass().await;
                self.receive_from(&mut stream, &mut bytes, all).await?;
                return Ok(bytes);
            }
        }
        drop(self.receive(source, &mut bytes, all).await?);
        Ok(bytes)
    }
}

impl UploadSession for MemorySession {
    fn is_instead_of_mount(&self) -> bool {
        self.instead_of_mount
    }
    fn reserve(&mut self) -> BoxFuture<'_, StoreResult<()>> {
        let window = self.stores.window(self.repository.endpoint());
        async move {
            self.slot = Some(window.acquire_owned().await.unwrap());
            Ok(())
        }
        .boxed()
    }
    fn send<'a>(self: Box<Self>, source: &'a dyn BlobSource) -> BoxFuture<'a, StoreResult<()>>
    where
        Self: 'a,
    {
        async move {
            assert!(self.slot.is_some(), "sent without a slot");
            let (_sending, script) = self.start();
            let target = Target::Digest(self.blob.digest.clone());
            let call = self.stores.state().words("send", &self.repository, &target);
            self.stores.begin_call(call).await?;
            let bytes = match self.receive_all(source, script).await {
                Err(_) if self.insists() => self.receive_all(source, None).await?,
                received => received?,
            };
            let digest = Digest::sha256(&bytes);
            assert_eq!(digest, self.blob.digest, "other bytes were sent");
            self.store(bytes.into())
        }
        .map_err(StoreError::destination)
        .boxed()
    }
}

impl MemorySession {
    fn store(&self, bytes: Bytes) -> Result<(), Error> {
        let mut state = self.stores.state();
        let keeps = state.behaviour.keeps_what_it_has;
        let blobs = &mut state.content(&self.repository).blobs;
        match blobs.get(&self.blob.digest) {
            Some(kept) if keeps && kept.len() != bytes.len() => {
                let action = format!("upload {} to {}", self.blob.digest, self.repository.path());
                let host = self.repository.endpoint().to_string();
                let message = format!("{} bytes are there and stay", kept.len());
                Err(Error::new(ErrorKind::Corrupt, action, host, message))
            }
            Some(_) if keeps => Ok(()),
            _ => {
                blobs.insert(self.blob.digest.clone(), bytes);
                Ok(())
            }
        }
    }
    fn insists(&self) -> bool {
        let insistent = &self.stores.state().scripts.insistent;
        insistent.contains(&self.repository)
    }
}
