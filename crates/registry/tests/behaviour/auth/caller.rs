//! A caller that does with an authenticator what the client does, and no more.

use std::sync::{Arc, Mutex};

use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, StatusCode};
use image_syncer_registry::auth::{
    Access, Authenticator, Authorization, Credential, MAX_AGAIN, ScopeSet, Secret,
    UnauthorizedAction,
};
use image_syncer_registry::transport::{
    AnswerLimit, Call, Endpoint, Lane, Observer, RequestBody, RetryPolicy, Transport,
    TransportOptions,
};
use image_syncer_registry::{Error, Registry, Repository};

pub(crate) struct Caller {
    pub(crate) authenticator: Authenticator,
    pub(crate) endpoint: Endpoint,
    pub(crate) warnings: Arc<Warnings>,
    transport: Arc<Transport>,
}

/// Outcome of a refused request.
#[derive(Debug)]
pub(crate) enum Denied {
    /// With a clause of the authenticator's.
    Final(String),
    /// Without a token.
    Failed(Error),
}

impl Denied {
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Final(clause) => clause.clone(),
            Self::Failed(error) => error.to_string(),
        }
    }
}

#[derive(Default)]
pub(crate) struct Warnings(Mutex<Vec<String>>);

impl Warnings {
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Observer for Warnings {
    fn warning(&self, host: &str, text: &str) {
        self.0.lock().unwrap().push(format!("{host}: {text}"));
    }
}

impl Caller {
    /// Creates a caller of a registry in this process.
    pub(crate) fn of(registry: &testkit::Registry) -> Self {
        let warnings = Arc::new(Warnings::default());
        let options = TransportOptions::default().with_observer(warnings.clone());
        Self::over(
            &registry.host(),
            true,
            Transport::new(options).unwrap(),
            warnings,
        )
    }
    pub(crate) fn over(
        host: &str,
        insecure: bool,
        transport: Transport,
        warnings: Arc<Warnings>,
    ) -> Self {
        let registry = Registry::parse(host).unwrap();
        let endpoint = transport.endpoint(&registry, insecure);
        let transport = Arc::new(transport);
        let authenticator = Authenticator::new(registry, transport.clone(), RetryPolicy::default());
        Self {
            authenticator,
            endpoint,
            warnings,
            transport,
        }
    }
    pub(crate) fn with(mut self, change: impl FnOnce(Authenticator) -> Authenticator) -> Self {
        self.authenticator = change(self.authenticator);
        self
    }
    pub(crate) fn repository(&self, path: &str) -> Repository {
        Repository::new(self.endpoint.registry.clone(), path).unwrap()
    }
    /// Finds out the scheme, which the first request would do.
    pub(crate) async fn find_scheme(&self) {
        let found = self.transport.base_url(&self.endpoint, "test").await;
        found.unwrap();
    }
    /// Lists the tags of a repository.
    pub(crate) async fn pull(&self, access: &Access, path: &str) -> Result<StatusCode, Denied> {
        let scopes = ScopeSet::pull(&self.repository(path));
        self.send(
            access,
            &scopes,
            Method::GET,
            &format!("v2/{path}/tags/list"),
        )
        .await
    }
    /// Opens an upload.
    pub(crate) async fn push(&self, access: &Access, path: &str) -> Result<StatusCode, Denied> {
        let scopes = ScopeSet::push(&self.repository(path));
        self.send(
            access,
            &scopes,
            Method::POST,
            &format!("v2/{path}/blobs/uploads/"),
        )
        .await
    }
    pub(crate) async fn send(
        &self,
        access: &Access,
        scopes: &ScopeSet,
        method: Method,
        path: &str,
    ) -> Result<StatusCode, Denied> {
        for _ in 0..=MAX_AGAIN {
            let turn = self
                .authenticator
                .wait_for_challenge(&self.endpoint, access, &method);
            let turn = turn.await.map_err(Denied::Failed)?;
            let used = self
                .authenticator
                .authorize(&self.endpoint, access, scopes)
                .await
                .map_err(Denied::Failed)?;
            let mut headers = HeaderMap::new();
            let header = used.as_ref().map(Authorization::header);
            headers.extend(header.map(|header| (AUTHORIZATION, header.clone())));
            let base = self
                .transport
                .base_url(&self.endpoint, "test")
                .await
                .map_err(Denied::Failed)?;
            let call = Call {
                action: "test".into(),
                endpoint: self.endpoint.clone(),
                method: method.clone(),
                url: base.join(path).unwrap(),
                headers,
                body: RequestBody::Empty,
                lane: Lane::Calls,
                public_only: false,
                answer: AnswerLimit::Normal,
                follow_redirects: true,
                weight: 0,
                tries: 1,
                guard: None,
            };
            let response = self.transport.send(call).await.map_err(Denied::Failed)?;
            let (status, headers) = (response.status, response.headers.clone());
            response.body.drain().await;
            if status != StatusCode::UNAUTHORIZED {
                self.authenticator
                    .accepted(&self.endpoint, access, scopes, &method, used.as_ref());
                turn.record_success();
                return Ok(status);
            }
            let verdict = self
                .authenticator
                .refused(&self.endpoint, access, scopes, (&method, header), &headers)
                .await
                .map_err(Denied::Failed)?;
            if let UnauthorizedAction::Final(refusal)
            | UnauthorizedAction::Passing { refusal, .. } = verdict
            {
                return Err(Denied::Final(refusal.clause));
            }
        }
        panic!("the authenticator goes on for ever");
    }
}

pub(crate) fn anonymous() -> Access {
    access(Credential::Anonymous, "no entry")
}

pub(crate) fn user(username: &str, password: &str) -> Access {
    let credential = Credential::Basic {
        username: username.to_owned(),
        password: Secret::new(password),
    };
    access(credential, "auth.yaml")
}

pub(crate) fn access(credential: Credential, origin: &str) -> Access {
    Access {
        credential,
        insecure: true,
        origin: origin.to_owned(),
    }
}
