//! The API server, reached as kubectl reaches it.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::ListParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt};
use sending_domain_operator::api::v1alpha1::SendingDomain;

use crate::args::Access;
use crate::exit::Failure;

/// How long the API server may take for an answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What the operator's Deployment carries, whoever installed it.
pub const OPERATOR_LABEL: &str = "app.kubernetes.io/name=sending-domain-operator";

/// A client, and the namespace that is meant.
pub struct Cluster {
    pub client: Client,
    pub namespace: String,
}

impl Cluster {
    /// The cluster that the flags, `$KUBECONFIG` or `~/.kube/config` name; inside a cluster, that one.
    pub async fn of(access: &Access) -> Result<Self, Failure> {
        let failed = |error: &dyn std::error::Error| {
            Failure::new(format!("no cluster: {error}; look at --kubeconfig, --context and $KUBECONFIG"))
        };
        let options = KubeConfigOptions {
            context: access.context.clone(),
            cluster: access.cluster.clone(),
            user: access.user.clone(),
        };
        let is_chosen = options.context.is_some() || options.cluster.is_some() || options.user.is_some();
        let mut config = match &access.kubeconfig {
            Some(file) => {
                let kubeconfig = Kubeconfig::read_from(file).map_err(|e| failed(&e))?;
                Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|e| failed(&e))?
            }
            None if is_chosen => Config::from_kubeconfig(&options).await.map_err(|e| failed(&e))?,
            None => Config::infer().await.map_err(|e| failed(&e))?,
        };
        config.connect_timeout = Some(TIMEOUT);
        let namespace = access.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).map_err(|e| failed(&e))?;
        Ok(Self { client, namespace })
    }

    /// The SendingDomains of the namespace.
    pub fn domains(&self) -> Api<SendingDomain> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The object `name`.
    pub async fn get(&self, name: &str) -> Result<SendingDomain, Failure> {
        self.domains().get(name).await.map_err(|error| self.failure("get", name, &error))
    }

    /// The objects of the namespace, or of all, by namespace and name.
    pub async fn list(&self, all: bool, selector: Option<&str>) -> Result<Vec<SendingDomain>, Failure> {
        let api = if all { Api::all(self.client.clone()) } else { self.domains() };
        let mut params = ListParams::default().limit(500);
        params.label_selector = selector.map(str::to_owned);
        let mut objects = Vec::new();
        loop {
            let page = api.list(&params).await.map_err(|error| self.failure("list", "", &error))?;
            objects.extend(page.items);
            params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if params.continue_token.is_none() {
                break;
            }
        }
        objects.sort_by_key(|object| (object.namespace(), object.name_any()));
        Ok(objects)
    }

    /// The Deployments of operators in `namespace`.
    pub async fn operators(&self, namespace: &str) -> kube::Result<Vec<Deployment>> {
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), namespace);
        Ok(api.list(&ListParams::default().labels(OPERATOR_LABEL)).await?.items)
    }

    /// What a failed call to the API server means for whoever typed the command.
    pub fn failure(&self, verb: &str, name: &str, error: &kube::Error) -> Failure {
        let namespace = &self.namespace;
        Failure::new(match error {
            kube::Error::Api(status) if status.code == 404 && status.message.contains("could not find") => no_kind(),
            kube::Error::Api(status) if status.code == 404 && !status.message.contains(&format!("{name:?}")) => {
                no_kind()
            }
            kube::Error::Api(status) if status.code == 404 => {
                format!("there is no SendingDomain {name} in the namespace {namespace}; give another with -n")
            }
            kube::Error::Api(status) if status.code == 403 => {
                format!(
                    "you may not {verb} sendingdomains.sendingdomain.dev in the namespace {namespace}: {}",
                    status.message
                )
            }
            kube::Error::Api(status) => format!("the API server refuses to {verb} {name}: {}", status.message),
            other => format!("the API server does not answer as it should: {other}"),
        })
    }
}

fn no_kind() -> String {
    "the cluster has no SendingDomains: install the operator's CRD (`kubectl sendingdomain doctor` tells more)"
        .to_owned()
}
