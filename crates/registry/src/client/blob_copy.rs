//! Copy of one blob from repository to repository.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::client::reader::{BlobSource, BlobStream};
use crate::client::{Client, OpenedUpload};
use crate::error::Error;
use crate::manifest::Descriptor;
use crate::reference::Repository;

/// Way in which a blob came to its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CopiedBlob {
    /// It was there already.
    Present,
    /// The registry mounted it from the source, which it holds as well.
    Mounted,
    /// It was sent.
    Uploaded,
}

/// A blob at a registry.
struct StoredBlob<'a> {
    client: &'a Client,
    repository: &'a Repository,
    blob: &'a Descriptor,
}

impl BlobSource for StoredBlob<'_> {
    fn open(&self, offset: u64) -> BoxFuture<'_, Result<BlobStream, Error>> {
        async move {
            let reader = self.client.open_blob(self.repository, self.blob, offset);
            Ok(reader.await?.into_stream())
        }
        .boxed()
    }
}

impl Client {
    /// Copies `blob` of `from`, a repository of this registry, to the repository `to` of the registry of `destination`.
    ///
    /// Nothing is sent if the blob is there, or if both are the same registry and it can mount the blob. Otherwise the
    /// bytes flow from one registry to the other without a temporary file, are verified on the way, and both ends
    /// continue after a break. The blob is one of a manifest of `from`, and is only kept if a manifest of `to` names it.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use image_syncer_registry::manifest::ManifestView;
    /// use image_syncer_registry::{Reference, Registries, Repository};
    ///
    /// let registries = Registries::from_env()?;
    /// let image = Reference::parse("quay.io/prometheus/busybox:latest")?;
    /// let to = Repository::parse("registry.example.com/mirror/busybox")?;
    /// let source = registries.client(image.repository.registry());
    /// let destination = registries.client(to.registry());
    ///
    /// let target = image.target().ok_or("a tag or a digest is needed")?;
    /// let manifest = source.get_manifest(&image.repository, &target).await?;
    /// if let ManifestView::Image(view) = manifest.view()? {
    ///     for layer in &view.layers {
    ///         let copied = source.copy_blob(&image.repository, layer, &destination, &to).await?;
    ///         println!("{}: {copied:?}", layer.digest);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The error of the end that failed, with its host.
    pub async fn copy_blob(
        &self,
        from: &Repository,
        blob: &Descriptor,
        destination: &Self,
        to: &Repository,
    ) -> Result<CopiedBlob, Error> {
        let is_mountable = self.registry() == destination.registry() && from != to;
        let mount_from = is_mountable.then_some(from);
        let source = StoredBlob {
            client: self,
            repository: from,
            blob,
        };
        match destination.open_upload(to, blob, mount_from).await? {
            OpenedUpload::Present { mounted: true } => Ok(CopiedBlob::Mounted),
            OpenedUpload::Present { mounted: false } => Ok(CopiedBlob::Present),
            OpenedUpload::Session(upload) => {
                destination.upload(upload, &source).await?;
                Ok(CopiedBlob::Uploaded)
            }
        }
    }
}
