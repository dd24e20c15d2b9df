//! The emulator over real HTTP. What it must be like is Google's discovery document and recorded answers; the tests that use
//! it to prove the product are elsewhere.

mod access;
mod conditions;
mod control;
mod faults;
mod reading;
mod writing;

use std::net::SocketAddr;

use category_mirror::emulator::Emulator;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A running emulator that holds the demo's locations; it ends with the test.
struct Google {
    endpoint: String,
    address: SocketAddr,
    http: reqwest::Client,
    stop: oneshot::Sender<()>,
    served: JoinHandle<std::io::Result<()>>,
}

impl Google {
    async fn start() -> Self {
        let emulator = Emulator::bind(([127, 0, 0, 1], 0).into()).await.expect("a free port");
        emulator.seed_demo();
        let (endpoint, address) = (emulator.endpoint(), emulator.local_addr());
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(emulator.serve(async {
            let _ = stopped.await;
        }));
        Self { endpoint, address, http: reqwest::Client::new(), stop, served }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.endpoint))
    }

    fn api(&self, method: Method, path: &str) -> RequestBuilder {
        self.request(method, path).bearer_auth("fixed")
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.api(Method::GET, path)).await
    }

    async fn patch(&self, path: &str, body: Value) -> (StatusCode, Value) {
        answer(self.api(Method::PATCH, path).json(&body)).await
    }

    /// A control call that must be carried out.
    async fn control(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = answer(self.request(method, &format!("/_control{path}")).json(&body)).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }
}

async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.expect("an answer");
    let status = response.status();
    (status, response.json().await.expect("JSON"))
}

fn set(primary: &str, additional: &[&str]) -> Value {
    let named = |slug: &&str| json!({ "name": format!("categories/gcid:{slug}") });
    json!({ "primaryCategory": named(&primary), "additionalCategories": additional.iter().map(named).collect::<Vec<_>>() })
}

fn names(categories: &Value) -> (String, Vec<String>) {
    let name = |category: &Value| category["name"].as_str().expect("a name").to_owned();
    let additional = categories["additionalCategories"].as_array().map(|list| list.iter().map(name).collect());
    (name(&categories["primaryCategory"]), additional.unwrap_or_default())
}

fn reasons(error: &Value) -> Vec<&str> {
    let details = error["error"]["details"].as_array().map(Vec::as_slice).unwrap_or_default();
    details.iter().filter_map(|detail| detail["reason"].as_str()).collect()
}

const READ: &str = "readMask=name,categories,metadata";
const WRITE: &str = "/v1/locations/2002?updateMask=categories";
