//! Listing APIs of vendors, beside the registry's own protocol.

/// The listing API of a vendor. It is served at the registry's own port, even if the real one has another host, and
/// its content is that of the registry. Names that no registry accepts can be created by
/// [`State::create_repository`](crate::State::create_repository).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListingApi {
    /// The vendor, with paths, form of answers and form of errors.
    pub vendor: Vendor,
    /// Maximum number of entries on a page. More are refused by Harbor, and limited by the others.
    pub page_size: usize,
    /// Login of callers.
    pub login: ListingLogin,
    /// True if callers without a login see everything.
    pub anonymous: bool,
    /// Owners that are users instead of organisations (GitHub).
    pub users: Vec<String>,
    /// Projects that are proxy caches (Harbor).
    pub proxies: Vec<String>,
    /// Faults of the content. For faults of single requests see [`Fault`](crate::Fault).
    pub faults: Vec<(ListKind, ListingFault)>,
}

/// A vendor with a listing API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vendor {
    /// Harbor: <https://github.com/goharbor/harbor/blob/main/api/v2.0/swagger.yaml>.
    Harbor,
    /// Docker Hub: <https://docs.docker.com/reference/api/hub/latest/>.
    Hub,
    /// Quay: <https://docs.quay.io/api/swagger/>.
    Quay,
    /// GitHub: <https://docs.github.com/en/rest/packages/packages>.
    Github,
    /// GitLab: <https://docs.gitlab.com/api/container_registry/>.
    Gitlab,
}

/// Login of a listing API.
#[derive(Clone, PartialEq, Eq)]
pub enum ListingLogin {
    /// Any login is accepted.
    Any,
    /// Name and password of a user of the registry, by Basic.
    Users,
    /// This name and password, by Basic.
    Basic(String, String),
    /// This token, by Bearer; at GitLab, by `PRIVATE-TOKEN` as well.
    Bearer(String),
    /// This name and secret, for a token from `POST /v2/auth/token` (Docker Hub).
    Exchange(String, String),
}

/// Only the kind: a failed assertion must not print a credential.
impl std::fmt::Debug for ListingLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Any => "any",
            Self::Users => "users",
            Self::Basic(..) => "basic",
            Self::Bearer(_) => "bearer",
            Self::Exchange(..) => "exchange",
        })
    }
}

/// The lists of listing APIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListKind {
    /// Projects (Harbor).
    Projects,
    /// Repositories.
    Repositories,
    /// Tags, artifacts or versions of a repository.
    Tags,
}

/// Faults of the content of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListingFault {
    /// Every page has the entries of the first, and leads to a page with the next number, for ever.
    RepeatsPage,
    /// Every page leads to itself, for ever.
    RepeatsCursor,
    /// The total is wrong by this number.
    Total(i64),
    /// The next page has the URL of the storage host.
    NextElsewhere,
    /// The list ends after this number of entries. The total counts all.
    EndsAfter(usize),
    /// Accessories that were pushed before their subject are left out; here, all (Harbor before 2.9.2).
    HidesAccessories,
    /// Artifacts have no field for accessories (Harbor before 2.5).
    NoAccessories,
    /// The answers are JSON of another form.
    Nonsense,
    /// 403.
    Forbidden,
}

impl ListingApi {
    /// The token of [`ListingApi::github`].
    pub const GITHUB_TOKEN: &'static str = "ghp_testkit";

    fn new(vendor: Vendor, login: ListingLogin) -> Self {
        Self {
            vendor,
            page_size: 100,
            login,
            anonymous: true,
            users: Vec::new(),
            proxies: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Harbor: users of the registry by Basic; public projects need no login.
    pub fn harbor() -> Self {
        Self::new(Vendor::Harbor, ListingLogin::Users)
    }

    /// Docker Hub: public repositories need no login.
    pub fn hub() -> Self {
        let login = ListingLogin::Exchange("user".to_owned(), "secret".to_owned());
        Self::new(Vendor::Hub, login)
    }

    /// Quay: public repositories need no login.
    pub fn quay() -> Self {
        let login = ListingLogin::Bearer("quay-testkit".to_owned());
        Self::new(Vendor::Quay, login)
    }

    /// GitHub packages: a token is required, [`ListingApi::GITHUB_TOKEN`].
    pub fn github() -> Self {
        let login = ListingLogin::Bearer(Self::GITHUB_TOKEN.to_owned());
        Self {
            anonymous: false,
            ..Self::new(Vendor::Github, login)
        }
    }

    /// GitLab: public groups need no login. Groups are the namespaces of the registry
    /// ([`State::create_namespace`](crate::State::create_namespace)); any other path is a project.
    pub fn gitlab() -> Self {
        let login = ListingLogin::Bearer("glpat-testkit".to_owned());
        Self::new(Vendor::Gitlab, login)
    }

    /// Adds a fault.
    pub fn fault(mut self, list: ListKind, fault: ListingFault) -> Self {
        self.faults.push((list, fault));
        self
    }

    /// Requires this login.
    pub fn requires(mut self, login: ListingLogin) -> Self {
        self.login = login;
        self.anonymous = false;
        self
    }

    pub(crate) fn has_fault(&self, list: ListKind, fault: ListingFault) -> bool {
        self.faults.contains(&(list, fault))
    }
}
