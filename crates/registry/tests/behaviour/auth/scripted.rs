//! Registries and token servers of any name, that answer what a test says.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{Method, Request, Response};
use image_syncer_registry::transport::{
    HttpError, HttpService, RequestBody, ResponseBody, Route, Transport, TransportOptions,
};
use url::form_urlencoded;

use super::caller::{Caller, Warnings};

/// A request as it went out.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) authorization: Option<String>,
    /// The parameters of a form.
    pub(crate) form: HashMap<String, String>,
}

impl Asked {
    /// Returns whether it is a token request, by the path that all scripts use.
    pub(crate) fn is_token(&self) -> bool {
        self.url.contains("/token")
    }
}

type Script = dyn Fn(&Asked) -> Response<ResponseBody> + Send + Sync;

pub(crate) struct Scripted {
    script: Box<Script>,
    asked: Mutex<Vec<Asked>>,
}

impl Scripted {
    /// A caller of `host`, and the requests that it makes.
    pub(crate) fn caller(
        host: &str,
        insecure: bool,
        script: impl Fn(&Asked) -> Response<ResponseBody> + Send + Sync + 'static,
    ) -> (Caller, Arc<Self>) {
        let service = Arc::new(Self {
            script: Box::new(script),
            asked: Mutex::default(),
        });
        let warnings = Arc::new(Warnings::default());
        let options = TransportOptions::default().with_observer(warnings.clone());
        let transport = Transport::with_service(service.clone(), options);
        (Caller::over(host, insecure, transport, warnings), service)
    }
    /// Returns the requests since the last call.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
    /// The URLs of the token requests among it.
    pub(crate) fn tokens(&self) -> Vec<String> {
        self.asked()
            .into_iter()
            .filter(Asked::is_token)
            .map(|asked| asked.url)
            .collect()
    }
}

impl HttpService for Scripted {
    fn call(
        &self,
        request: Request<RequestBody>,
        _route: Route,
    ) -> BoxFuture<'_, Result<Response<ResponseBody>, HttpError>> {
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = match body {
                RequestBody::Bytes(bytes) => bytes,
                RequestBody::Empty => Bytes::new(),
                RequestBody::Stream { .. } => panic!("nothing is streamed here"),
            };
            let authorization = head
                .headers
                .get(AUTHORIZATION)
                .map(|value| value.to_str().unwrap().to_owned());
            let asked = Asked {
                method: head.method,
                url: head.uri.to_string(),
                authorization,
                form: form_urlencoded::parse(&body).into_owned().collect(),
            };
            self.asked.lock().unwrap().push(asked.clone());
            Ok((self.script)(&asked))
        })
    }
}

pub(crate) fn answer(status: u16, body: impl Into<Vec<u8>>) -> Response<ResponseBody> {
    let body = Bytes::from(body.into());
    Response::builder()
        .status(status)
        .body(ResponseBody::from(body))
        .unwrap()
}

pub(crate) fn challenge(text: &str) -> Response<ResponseBody> {
    let mut response = answer(401, "");
    response
        .headers_mut()
        .append(WWW_AUTHENTICATE, text.parse().unwrap());
    response
}

/// A token server that grants all, and a registry behind it that lets every bearer in and answers others with
/// `challenged`.
pub(crate) fn granting(
    challenged: &'static str,
    reply: &'static str,
) -> impl Fn(&Asked) -> Response<ResponseBody> + Send + Sync {
    move |asked| {
        if asked.is_token() {
            answer(200, reply)
        } else if asked
            .authorization
            .as_ref()
            .is_some_and(|text| text.starts_with("Bearer "))
        {
            answer(200, "{}")
        } else {
            challenge(challenged)
        }
    }
}
