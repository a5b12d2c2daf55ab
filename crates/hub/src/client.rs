//! Requests to the hub and to the servers it redirects to.

use std::time::Duration;

use hf_hub::{Repo, RepoType, api::RepoInfo};
use ureq::{
    Agent, Body,
    http::{Response, header},
};

use crate::{
    Error, ModelId, Result, Settings,
    address::Address,
    model_id::is_commit,
    retry::{Failure, Retries},
};

const USER_AGENT: &str = concat!("bitkv-hub/", env!("CARGO_PKG_VERSION"));
pub(crate) const MAX_REDIRECTS: usize = 10;
/// The size in bytes of the largest listing of files that is read. No model repository has such a long
/// listing.
const MAX_LISTING: u64 = 32 << 20;

/// The time that resolving a host name may take, and the time that connecting may take.
const CONNECT: Duration = Duration::from_secs(10);
/// The time within which the head of an answer must arrive.
const ANSWER: Duration = Duration::from_secs(30);
/// The time after which a connection without new bytes counts as broken.
const SILENCE: Duration = Duration::from_secs(30);

/// The HTTP method of a request.
#[derive(Clone, Copy)]
pub(crate) enum Method {
    Head,
    Get,
}

/// An answer, and the address that it came from.
pub(crate) struct Answer {
    pub(crate) address: Address,
    pub(crate) response: Response<Body>,
}

impl Answer {
    /// The text of a header; `None` if the answer does not have it.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name).and_then(|value| value.to_str().ok())
    }

    /// The HTTP status.
    pub(crate) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// Returns the address to which the answer redirects; `None` if it is not a redirect.
    pub(crate) fn redirect(&self) -> Result<Option<Address>> {
        if !matches!(self.status(), 301 | 302 | 303 | 307 | 308) {
            return Ok(None);
        }
        let location = self.header("location").ok_or("that it does not name");
        let target = location.and_then(|location| self.address.join(location));
        target
            .map(Some)
            .map_err(|reason| self.address.unexpected(format!("redirects to an address {reason}")))
    }
}

/// Sends requests about one model.
pub(crate) struct Client<'a> {
    agent: Agent,
    pub(crate) settings: &'a Settings,
    endpoint: Address,
    repo: Repo,
    model: String,
}

impl<'a> Client<'a> {
    pub(crate) fn new(settings: &'a Settings, id: &ModelId) -> Result<Client<'a>> {
        let endpoint = Address::parse(&settings.endpoint)
            .map_err(|reason| Error::endpoint(&settings.endpoint, reason))?;
        let agent = Agent::config_builder()
            .user_agent(USER_AGENT)
            .http_status_as_error(false)
            // This client follows redirects, because it decides which server gets the token.
            .max_redirects(0)
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(ANSWER))
            .timeout_per_read(Some(SILENCE))
            .build()
            .into();
        let repo = Repo::with_revision(id.repository().into(), RepoType::Model, id.revision().into());
        Ok(Client { agent, settings, endpoint, repo, model: id.to_string() })
    }

    /// Asks the hub for the commit of the revision and for the names of its files. If `once` is true, a
    /// failed request is not repeated: a caller that has a cached copy should not wait for a hub that is
    /// down. A request to an unreachable hub is never repeated, because the machine is probably offline.
    pub(crate) fn info(&self, once: bool) -> Result<RepoInfo> {
        let address = self.address(&format!("api/{}", self.repo.api_url()))?;
        let mut retries = Retries::new(self.settings);
        let answer = loop {
            match self.content(&address, 0) {
                Ok(answer) => break answer,
                Err(Failure::Transient(error)) if once || matches!(error, Error::Unreachable { .. }) => {
                    return Err(error);
                }
                Err(failure) => retries.wait(failure)?,
            }
        };
        let mut answer = self.success(answer)?;
        let body = answer.response.body_mut().with_config().limit(MAX_LISTING);
        let text = body
            .read_to_string()
            .map_err(|e| address.unexpected(format!("sends an unreadable listing ({e})")))?;
        let info: RepoInfo = serde_json::from_str(&text).map_err(|e| {
            address.unexpected(format!("sends something other than a listing of files ({e})"))
        })?;
        match (is_commit(&info.sha), is_commit(self.repo.revision())) {
            (false, _) => Err(address.unexpected("names no commit in its listing of files")),
            (true, true) if info.sha != self.repo.revision() => {
                Err(address.unexpected("lists another commit"))
            }
            (true, _) => Ok(info),
        }
    }

    /// Returns the address of a file of the model at a commit.
    pub(crate) fn file(&self, commit: &str, file: &str) -> Result<Address> {
        self.address(&format!("{}/resolve/{commit}/{file}", self.repo.url()))
    }

    /// Returns the address of a path on the hub.
    fn address(&self, path: &str) -> Result<Address> {
        Address::from_base(&self.settings.endpoint, path)
            .map_err(|reason| Error::endpoint(&self.settings.endpoint, reason))
    }

    /// Whether an address is on the hub itself, not on a server to which the hub redirects.
    pub(crate) fn is_hub(&self, address: &Address) -> bool {
        address.same_server(&self.endpoint)
    }

    /// Sends a request, again after a transient failure, as often as the settings allow. Returns the answer,
    /// which may be a redirect.
    pub(crate) fn ask(&self, method: Method, address: &Address) -> Result<Answer> {
        let mut retries = Retries::new(self.settings);
        loop {
            let tried = self.send(method, address, 0).map_err(Failure::Transient);
            match tried.and_then(|answer| self.check_transient(answer)) {
                Ok(answer) => return Ok(answer),
                Err(failure) => retries.wait(failure)?,
            }
        }
    }

    /// Requests content from byte `from` on. Follows redirects.
    pub(crate) fn content(&self, address: &Address, from: u64) -> Result<Answer, Failure> {
        let mut address = address.clone();
        for _ in 0..=MAX_REDIRECTS {
            let answer = self.send(Method::Get, &address, from).map_err(Failure::Transient)?;
            match answer.redirect().map_err(Failure::Permanent)? {
                Some(target) => address = target,
                None => return self.check_transient(answer),
            }
        }
        Err(Failure::Permanent(address.unexpected("redirects without end")))
    }

    /// Sends one request without following redirects. Only the hub gets the token.
    fn send(&self, method: Method, address: &Address, from: u64) -> Result<Answer> {
        let mut request = match method {
            Method::Head => self.agent.head(address.uri()),
            Method::Get => self.agent.get(address.uri()),
        };
        if address.is_local() {
            request = request.config().proxy(None).build();
        }
        // Compressed content would not have the announced length.
        request = request.header(header::ACCEPT_ENCODING, "identity");
        if from > 0 {
            request = request.header(header::RANGE, format!("bytes={from}-"));
        }
        if let Some(token) = self.settings.token.as_ref().filter(|_| self.is_hub(address)) {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.reveal()));
        }
        let unreachable =
            |e: ureq::Error| Error::Unreachable { host: address.host().into(), reason: e.to_string() };
        Ok(Answer { address: address.clone(), response: request.call().map_err(unreachable)? })
    }

    /// Returns a transient failure for a status that may be different at the next try, and otherwise the
    /// answer.
    fn check_transient(&self, answer: Answer) -> Result<Answer, Failure> {
        match answer.status() {
            408 | 429 | 500..=599 => Err(Failure::Transient(self.refusal(&answer))),
            // A signed address has expired; the hub gives a new one at the next try.
            403 if !self.is_hub(&answer.address) => Err(Failure::Transient(self.refusal(&answer))),
            _ => Ok(answer),
        }
    }

    /// Returns the answer if its status is a success.
    pub(crate) fn success(&self, answer: Answer) -> Result<Answer> {
        if answer.response.status().is_success() { Ok(answer) } else { Err(self.refusal(&answer)) }
    }

    /// Returns the error for an answer whose status is not a success.
    pub(crate) fn refusal(&self, answer: &Answer) -> Error {
        let (model, status) = (self.model.clone(), answer.status());
        match status {
            401 | 403 if self.is_hub(&answer.address) => Error::Denied {
                model,
                status,
                page: format!("{}/{}", self.settings.endpoint.trim_end_matches('/'), self.repo.url()),
                token: match self.settings.token {
                    Some(_) => "check that the token that was sent may read it",
                    None => "set HF_TOKEN to a token that may read it",
                },
            },
            404 if self.is_hub(&answer.address) => {
                Error::NotFound { model, host: self.endpoint.host().into() }
            }
            _ => Error::Status { address: answer.address.to_string(), status },
        }
    }
}
