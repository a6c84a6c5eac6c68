//! Tag lists, a page at a time (protocol.md section 2.6).

use crate::client::Client;
use crate::error::Error;
use crate::reference::{Repository, Tag};

/// The tags of one repository, a page at a time, so that work can start before the list is whole.
pub struct TagPages {
    #[allow(dead_code)]
    client: Client,
    #[allow(dead_code)]
    repository: Repository,
}

impl Client {
    /// The tags of `repository`.
    pub fn tags(&self, repository: &Repository) -> TagPages {
        TagPages {
            client: self.clone(),
            repository: repository.clone(),
        }
    }
}

impl TagPages {
    /// The next page, or `None` at the end. A tag is given once however often the registry repeats it.
    /// A repository that does not exist is [`ErrorKind::NotFound`](crate::ErrorKind::NotFound).
    pub async fn next(&mut self) -> Result<Option<Vec<Tag>>, Error> {
        todo!()
    }
}
