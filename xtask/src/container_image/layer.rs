//! Layers: trees of files as reproducible archives.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use miniz_oxide::deflate::compress_to_vec;

use super::layout::sha256;

/// Header of a gzip file: no name, no time, and no system.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// Level of compression. Higher ones save less than one percent of a binary.
const LEVEL: u8 = 6;

/// Files and directories by their path, without a slash at the start.
#[derive(Default)]
pub(super) struct Tree(BTreeMap<String, Node>);

struct Node {
    mode: u32,
    /// User and group.
    owner: (u64, u64),
    /// Contents of a file. A directory has none.
    contents: Option<Vec<u8>>,
}

/// A layer of an image.
pub(super) struct Layer {
    /// Digest of the archive before its compression.
    pub(super) diff_id: String,
    pub(super) compressed: Vec<u8>,
    pub(super) comment: &'static str,
}

impl Tree {
    /// Adds a file of root, and the directories above it.
    pub(super) fn file(&mut self, path: &str, mode: u32, contents: Vec<u8>) {
        let node = Node {
            mode,
            owner: (0, 0),
            contents: Some(contents),
        };
        self.insert(path, node);
    }

    /// Adds a directory, and those above it.
    pub(super) fn directory(&mut self, path: &str, mode: u32, owner: (u64, u64)) {
        let node = Node {
            mode,
            owner,
            contents: None,
        };
        self.insert(path, node);
    }

    /// Returns true if there is a file or a directory at the path.
    pub(super) fn contains(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    fn insert(&mut self, path: &str, node: Node) {
        for (end, _) in path.match_indices('/') {
            let parent = path.get(..end).unwrap_or_default();
            self.0.entry(parent.to_owned()).or_insert(Node {
                mode: 0o755,
                owner: (0, 0),
                contents: None,
            });
        }
        self.0.insert(path.to_owned(), node);
    }

    /// Packs all files, with `time` as the time of each.
    pub(super) fn layer(self, comment: &'static str, time: u64) -> Result<Layer> {
        let archive = self.archive(time).context("cannot pack the layer")?;
        Ok(Layer {
            diff_id: sha256(&archive),
            compressed: gzip(&archive),
            comment,
        })
    }

    fn archive(self, time: u64) -> std::io::Result<Vec<u8>> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, node) in self.0 {
            let mut header = tar::Header::new_ustar();
            header.set_mode(node.mode);
            header.set_uid(node.owner.0);
            header.set_gid(node.owner.1);
            header.set_mtime(time);
            let contents = node.contents.as_deref().unwrap_or_default();
            header.set_size(contents.len() as u64);
            if node.contents.is_some() {
                header.set_entry_type(tar::EntryType::Regular);
                builder.append_data(&mut header, path, contents)?;
            } else {
                header.set_entry_type(tar::EntryType::Directory);
                builder.append_data(&mut header, path + "/", contents)?;
            }
        }
        builder.into_inner()
    }
}

/// Compresses with fixed settings. The code is chosen here and not by the features of flate2, as its other
/// implementations give other bytes on other processors.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GZIP_HEADER.to_vec();
    out.extend(compress_to_vec(bytes, LEVEL));
    out.extend(crc32fast::hash(bytes).to_le_bytes());
    // The format has the length modulo 2^32.
    let length = u32::try_from(bytes.len() as u64 & u64::from(u32::MAX)).unwrap_or_default();
    out.extend(length.to_le_bytes());
    out
}

/// Returns a time as RFC 3339 has it.
pub(super) fn timestamp(time: u64) -> Result<String> {
    let timestamp = i64::try_from(time).map(jiff::Timestamp::from_second);
    match timestamp {
        Ok(Ok(timestamp)) => Ok(timestamp.to_string()),
        _ => anyhow::bail!("the time {time} is too late: give seconds since 1970"),
    }
}
