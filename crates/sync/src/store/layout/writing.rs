//! Writing of a layout: manifests, names, and the index behind them.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use image_syncer_registry::manifest::{MAX_MANIFEST_BYTES, ManifestView};
use image_syncer_registry::{Descriptor, Digest, Error, ErrorKind, Manifest, Tag, Target};
use tokio::sync::MutexGuard;
use tokio::time::sleep;

use super::directory::LayoutDirectory;
use super::files::LayoutFiles;
use super::index_file::{Contents, IndexState};
use super::walk::Walk;
use super::writer::LayoutWriter;
use super::{Layout, blob_path, run_blocking};
use crate::lock::lock;
use crate::store::layout_format::{
    INDEX_FILE, IndexError, LAYOUT_FILE, LAYOUT_VERSION, LayoutError, LayoutIndex, LayoutName,
    Located,
};

/// Time between two writes of the index while names are written.
const INTERVAL: Duration = Duration::from_secs(5);

/// Maximum number of names in a message; further ones are counted.
const MAX_NAMED: usize = 3;

/// Failure to write the index, with the names of the images that it lacks.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{error}")]
pub(crate) struct UnwrittenNames {
    /// The failure.
    pub(crate) error: LayoutError,
    /// Names of the images.
    pub(crate) names: Vec<String>,
}

impl From<UnwrittenNames> for Error {
    fn from(unwritten: UnwrittenNames) -> Self {
        let count = unwritten.names.len();
        let named: Vec<&str> = unwritten
            .names
            .iter()
            .take(MAX_NAMED)
            .map(|name| &**name)
            .collect();
        let named = match (named.join(", "), count.saturating_sub(named.len())) {
            (named, 0) => named,
            (named, more) => format!("{named} and {more} more"),
        };
        let noun = if count == 1 { "name" } else { "names" };
        Self::from(unwritten.error).with_clause(&format!("it lacks {count} {noun}: {named}"))
    }
}

impl Layout {
    /// Returns the writer. The first call makes the directory a layout, takes its lock, and reads the index again.
    ///
    /// # Errors
    /// If another process holds the lock, or the layout cannot be created.
    pub(in crate::store) async fn writer(&self) -> Result<Arc<LayoutWriter>, LayoutError> {
        let mut writer = self.writer.lock().await;
        if let Some(writer) = &*writer {
            return Ok(Arc::clone(writer));
        }
        let (directory, write_lock) = self.lock_directory().await?;
        let index = run_blocking(&directory, prepare).await?;
        let index = match &self.archive {
            None => index,
            Some(_) => self.reopen_archive().await?,
        };
        *lock(&self.state) = IndexState::new(index);
        self.exists.store(true, Ordering::Release);
        let opened = Arc::new(LayoutWriter::new(directory, write_lock));
        *writer = Some(Arc::clone(&opened));
        Ok(opened)
    }
    /// Writes a manifest, byte for byte, and gives it the name of `target` in `repository`. A manifest that is written by
    /// its digest is a part of an index, a referrer, or an image without a name.
    ///
    /// # Errors
    /// If a blob of the manifest is not there, or the manifest cannot be written. A failure to write the index is an error
    /// of the images that follow, and of [`Layout::finish`].
    pub(crate) async fn put_manifest(
        self: &Arc<Self>,
        repository: &str,
        target: &Target,
        manifest: &Manifest,
    ) -> Result<(), LayoutError> {
        let action = || match target {
            Target::Tag(tag) => format!("write manifest {repository}:{tag}"),
            Target::Digest(digest) => format!("write manifest {repository}@{digest}"),
        };
        let refuse = |kind, why: String| Err(LayoutError::new(kind, action(), &self.endpoint, why));
        let is_named = matches!(target, Target::Tag(_));
        let view = match self.accept(manifest, is_named) {
            Ok(view) => view,
            Err(why) => return refuse(ErrorKind::Rejected, why),
        };
        let blobs = blobs_of(&view);
        let writer = self.writer().await?;
        let digest = manifest.digest().clone();
        let _turn = Arc::clone(&self.blobs).lock_owned(digest).await;
        let written = manifest.clone();
        let missing = run_blocking(writer.directory(), {
            let (writer, files) = (Arc::clone(&writer), self.files()?);
            move |_| write_manifest(&writer, &files, &written, &blobs)
        });
        let missing = missing.await?;
        if !missing.is_empty() {
            return Err(LayoutError::incomplete(action(), &self.endpoint, missing));
        }
        if let Err(error) = self.list(repository, target, manifest, &view) {
            return refuse(ErrorKind::Rejected, error.to_string());
        }
        self.schedule();
        // No further image is reported as copied while the index cannot be written.
        if lock(&self.state).has_failed {
            let turn = self.index_turn.lock().await;
            self.write_index(&writer, &turn).await?;
        }
        Ok(())
    }
    /// Reads a manifest that is to be written, with a name or without.
    ///
    /// # Errors
    /// The reason for which the layout cannot hold it, as a clause.
    fn accept(&self, manifest: &Manifest, is_named: bool) -> Result<ManifestView, String> {
        let view = manifest.view().map_err(|error| error.to_string())?;
        if let ManifestView::Schema1(_) = view {
            let why = "it has schema 1, whose digest is not that of its bytes, so that no layout can hold it";
            return Err(why.to_owned());
        }
        if let Some(archive) = self.archive.as_ref().filter(|_| is_named) {
            archive.accept(&view)?;
        }
        Ok(view)
    }
    /// Checks that an image can be written with a name.
    ///
    /// # Errors
    /// If the layout cannot hold it.
    pub(in crate::store) fn check_image(&self, manifest: &Manifest) -> Result<(), LayoutError> {
        self.accept(manifest, true).map(drop).map_err(|why| {
            let action = format!("write manifest {}", manifest.digest());
            LayoutError::new(ErrorKind::Rejected, action, &self.endpoint, why)
        })
    }
    /// Lists a manifest that was written, in memory.
    fn list(
        &self,
        repository: &str,
        target: &Target,
        manifest: &Manifest,
        view: &ManifestView,
    ) -> Result<(), IndexError> {
        let digest = manifest.digest();
        let mut state = lock(&self.state);
        let mut unnamed = lock(&self.unnamed);
        if let ManifestView::Index(index) = view {
            for child in &index.manifests {
                unnamed.waiting.remove(&child.digest);
                if unnamed.listed.remove(&child.digest) && state.index.remove_unnamed(&child.digest)
                {
                    state.changed(format!("{repository}@{digest}"));
                }
            }
        }
        match (target, view.subject()) {
            (Target::Tag(tag), _) => {
                let name = LayoutName::new(repository, tag.clone());
                unnamed.waiting.remove(digest);
                if state.index.set_name(&name, manifest)? {
                    state.changed(name.to_string());
                }
            }
            (Target::Digest(_), Some(_)) => {
                let described = manifest.referrer_descriptor().ok();
                if state.index.add_unnamed(&root_of(manifest, described))? {
                    state.changed(format!("{repository}@{digest}"));
                }
            }
            (Target::Digest(_), None) => {
                if state.index.with_digest(digest).is_none() {
                    let root = root_of(manifest, None);
                    unnamed.waiting.insert(digest.clone(), root);
                }
            }
        }
        if let Some(subject) = view.subject() {
            let mut referrers = lock(&self.new_referrers);
            let known = referrers.entry(subject.digest.clone()).or_default();
            if !known.contains(digest) {
                known.push(digest.clone());
            }
        }
        Ok(())
    }
    /// Removes a name. The image stays, for a garbage collection by other tools. Returns whether there was one.
    ///
    /// # Errors
    /// If the layout cannot be locked.
    pub(crate) async fn remove_name(
        self: &Arc<Self>,
        repository: &str,
        tag: &Tag,
    ) -> Result<bool, LayoutError> {
        self.writer().await?;
        let name = LayoutName::new(repository, tag.clone());
        let removed = {
            let mut state = lock(&self.state);
            let removed = state.index.remove_name(&name);
            if removed {
                state.changed(name.to_string());
            }
            removed
        };
        self.schedule();
        Ok(removed)
    }
    /// Removes a manifest with all of its names. Its blobs stay, for a garbage collection by other tools. Returns whether
    /// there was one.
    ///
    /// # Errors
    /// If the manifest cannot be removed.
    pub(crate) async fn remove_manifest(&self, digest: &Digest) -> Result<bool, LayoutError> {
        let writer = self.writer().await?;
        let listed = {
            let mut state = lock(&self.state);
            let listed = state.index.remove_digest(digest);
            if listed {
                state.changed(digest.to_string());
            }
            listed
        };
        lock(&self.unnamed).waiting.remove(digest);
        // First the names, so that none leads to nothing.
        let turn = self.index_turn.lock().await;
        self.write_index(&writer, &turn).await?;
        drop(turn);
        let existed = self.blob_length(digest).await?.is_some();
        let digest = digest.clone();
        run_blocking(writer.directory(), move |directory| {
            let removed = directory.remove(&blob_path::folder(&digest), digest.encoded());
            removed.map_err(|e| directory.error(format!("remove manifest {digest}"), &e))
        })
        .await?;
        Ok(listed || existed)
    }
    /// Writes the index if it lacks names, or the archive, and releases the lock. Called at the end of a run, which may have
    /// been `stopped`; the layout can be written to again.
    ///
    /// # Errors
    /// If it cannot be written, and for the archive of a run that was stopped. The names of the images that it lacks are
    /// part of the error.
    pub(crate) async fn finish(&self, stopped: bool) -> Result<(), UnwrittenNames> {
        let turn = self.index_turn.lock().await;
        let mut writer = self.writer.lock().await;
        let Some(open) = writer.as_ref() else {
            return Ok(());
        };
        let written = match self.list_unnamed().await {
            Ok(()) if self.archive.is_some() => self.write_archive(open, stopped).await,
            Ok(()) => self.write_index(open, &turn).await,
            Err(error) => Err(error),
        };
        let is_idle = Arc::strong_count(open) == 1 && !lock(&self.state).is_dirty();
        if is_idle {
            let gathered = self.gathered().filter(|_| written.is_ok());
            if let Some(folder) = &gathered {
                folder.clear().await;
            }
            *writer = None;
            if let Some(folder) = gathered {
                folder.remove().await;
            }
        }
        written.map_err(|error| UnwrittenNames {
            error,
            names: lock(&self.state).unwritten().to_vec(),
        })
    }
    /// Lists the manifests that were written by digest and are no part of a listed one.
    async fn list_unnamed(&self) -> Result<(), LayoutError> {
        if lock(&self.unnamed).waiting.is_empty() {
            return Ok(());
        }
        let roots = lock(&self.state).roots();
        let files = self.files()?;
        let walk = run_blocking(&files, |files| Ok(Walk::run(files, roots)));
        let walk = walk.await?;
        let mut state = lock(&self.state);
        let mut unnamed = lock(&self.unnamed);
        let waiting = std::mem::take(&mut unnamed.waiting);
        let mut waiting: Vec<_> = waiting.into_values().collect();
        waiting.sort_by(|one, other| one.digest.cmp(&other.digest));
        for root in waiting {
            if walk.reached.contains(&root.digest) {
                continue;
            }
            let added = state.index.add_unnamed(&root).map_err(|error| {
                let (kind, action) = (ErrorKind::Rejected, format!("write {INDEX_FILE}"));
                LayoutError::new(kind, action, &self.endpoint, error.to_string())
            });
            if added? {
                state.changed(root.digest.to_string());
                unnamed.listed.insert(root.digest);
            }
        }
        Ok(())
    }
    /// Writes the index, if it lacks changes. One task at a time has the turn.
    async fn write_index(
        &self,
        writer: &Arc<LayoutWriter>,
        _turn: &MutexGuard<'_, ()>,
    ) -> Result<(), LayoutError> {
        let written = self.try_write_index(writer).await;
        lock(&self.state).has_failed = written.is_err();
        written
    }
    async fn try_write_index(&self, writer: &Arc<LayoutWriter>) -> Result<(), LayoutError> {
        if self.archive.is_some() {
            // It is written once, at the end.
            return Ok(());
        }
        let snapshot = lock(&self.state).snapshot(writer.directory())?;
        let Some(mut snapshot) = snapshot else {
            return Ok(());
        };
        writer.sync().await?;
        let bytes = std::mem::take(&mut snapshot.bytes);
        run_blocking(writer.directory(), move |directory| {
            let replaced = directory.replace(INDEX_FILE, &bytes);
            replaced.map_err(|error| directory.error(format!("write {INDEX_FILE}"), &error))
        })
        .await?;
        lock(&self.state).is_written(&snapshot);
        self.index_writes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
    /// Starts the task that writes the index after a while, unless it runs.
    fn schedule(self: &Arc<Self>) {
        if self.archive.is_some() {
            return;
        }
        let mut state = lock(&self.state);
        if state.is_dirty() && !state.is_scheduled {
            state.is_scheduled = true;
            tokio::spawn(write_while_dirty(Arc::downgrade(self)));
        }
    }
    /// Returns the number of times that the index was written.
    #[cfg(test)]
    pub(super) fn index_writes(&self) -> u64 {
        self.index_writes.load(Ordering::Relaxed)
    }
}

impl Drop for Layout {
    /// Writes the index of a run that was not finished, as far as that succeeds.
    fn drop(&mut self) {
        let Some(writer) = self.writer.get_mut().take() else {
            return;
        };
        if self.archive.is_some() {
            return;
        }
        let directory = writer.directory();
        let written = lock(&self.state).snapshot(directory).map(|snapshot| {
            let bytes = snapshot.map(|snapshot| snapshot.bytes);
            bytes.map_or(Ok(()), |bytes| directory.replace(INDEX_FILE, &bytes))
        });
        match written {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "cannot write {INDEX_FILE}"),
            Err(error) => tracing::warn!(%error, "cannot write {INDEX_FILE}"),
        }
    }
}

/// Writes the index every five seconds, until it lacks nothing. A failure is tried again, and is an error of
/// [`Layout::finish`] in the end.
async fn write_while_dirty(layout: Weak<Layout>) {
    loop {
        sleep(INTERVAL).await;
        let Some(layout) = layout.upgrade() else {
            return;
        };
        let turn = layout.index_turn.lock().await;
        let writer = layout.writer.lock().await.clone();
        if let Some(writer) = &writer
            && let Err(error) = layout.write_index(writer, &turn).await
        {
            tracing::warn!("{error}; it is tried again");
        }
        let mut state = lock(&layout.state);
        if writer.is_none() || !state.is_dirty() {
            state.is_scheduled = false;
            return;
        }
    }
}

/// Returns the blobs that a manifest needs.
fn blobs_of(view: &ManifestView) -> Vec<Digest> {
    let ManifestView::Image(image) = view else {
        return Vec::new();
    };
    let blobs = image.config.iter().chain(&image.layers);
    let needed = blobs.filter(|blob| !blob.is_foreign());
    needed.map(|blob| blob.digest.clone()).collect()
}

/// Writes a manifest, unless it is there already, and undamaged. Returns those of its `blobs` that are not there; then
/// nothing is written. Blocks.
fn write_manifest(
    writer: &LayoutWriter,
    files: &LayoutFiles,
    manifest: &Manifest,
    blobs: &[Digest],
) -> Result<Vec<Digest>, LayoutError> {
    let mut missing = Vec::new();
    for blob in blobs {
        let length = files.length(&blob_path::path(blob));
        let length = length.map_err(|e| files.error(format!("find blob {blob}"), &e))?;
        if length.is_none() {
            missing.push(blob.clone());
        }
    }
    if missing.is_empty() {
        let (digest, bytes) = (manifest.digest(), manifest.bytes());
        let existing = files.read(&blob_path::path(digest), MAX_MANIFEST_BYTES);
        if existing.is_ok_and(|existing| existing == *bytes) {
            return Ok(missing);
        }
        writer.complete(digest, None, std::slice::from_ref(bytes))?;
    }
    Ok(missing)
}

/// Makes the directory a layout, if it is none yet, and returns its roots. The lock is held. Blocks.
fn prepare(directory: &Arc<LayoutDirectory>) -> Result<LayoutIndex, LayoutError> {
    let failed = |error: &std::io::Error| directory.error("prepare the layout", error);
    directory
        .remove_abandoned()
        .map_err(|error| failed(&error))?;
    let (is_marked, index) = match Contents::read(directory)? {
        Contents::Layout(index) => return Ok(index),
        Contents::Begun => (true, LayoutIndex::new()),
        Contents::Empty => (false, LayoutIndex::new()),
    };
    let create = || {
        // First the mark: a directory with other files and without it is refused the next time.
        if !is_marked {
            directory.replace(LAYOUT_FILE, LAYOUT_VERSION)?;
        }
        directory.create_directories(blob_path::BLOBS)?;
        let bytes = index.to_bytes().map_err(std::io::Error::other)?;
        directory.replace(INDEX_FILE, &bytes)
    };
    create().map_err(|error| failed(&error))?;
    Ok(index)
}

/// Returns the descriptor of a root without a name. Its artifact type lets other tools show what a referrer is.
fn root_of(manifest: &Manifest, described: Option<Descriptor>) -> Descriptor {
    Descriptor {
        media_type: manifest.media_type().to_owned(),
        digest: manifest.digest().clone(),
        size: Some(manifest.size()),
        platform: None,
        annotations: std::collections::BTreeMap::new(),
        urls: Vec::new(),
        artifact_type: described.and_then(|described| described.artifact_type),
    }
}
