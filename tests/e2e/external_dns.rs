//! Records handed to ExternalDNS, in a cluster that learns of it late.

use kube::api::{Api, DynamicObject, ListParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use testbed::world::object;

use crate::changes;
use crate::rig::{DOMAIN, NAME, Rig, ZONE};

/// The part of ExternalDNS's CRD that matters here.
pub const CRD: &str = r"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: dnsendpoints.externaldns.k8s.io
  annotations:
    api-approved.kubernetes.io: https://github.com/kubernetes-sigs/external-dns/pull/2007
spec:
  group: externaldns.k8s.io
  names: { kind: DNSEndpoint, listKind: DNSEndpointList, plural: dnsendpoints, singular: dnsendpoint }
  scope: Namespaced
  versions:
    - name: v1alpha1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              properties:
                endpoints:
                  type: array
                  items:
                    type: object
                    properties:
                      dnsName: { type: string }
                      recordType: { type: string }
                      recordTTL: { type: integer, format: int64 }
                      targets: { type: array, items: { type: string } }
";

fn domain() -> Value {
    let mut domain = object::manual(NAME, DOMAIN);
    domain["spec"]["dns"] = json!({ "externalDNS": { "labels": { "team": "mail" }, "recordTTLSeconds": 300 } });
    domain
}

pub async fn endpoints(rig: &Rig) -> Vec<DynamicObject> {
    let kind = GroupVersionKind::gvk("externaldns.k8s.io", "v1alpha1", "DNSEndpoint");
    let resource = ApiResource::from_gvk_with_plural(&kind, "dnsendpoints");
    let client = rig.world.control_plane().admin_client().await.unwrap();
    let api: Api<DynamicObject> = Api::namespaced_with(client, &rig.namespace, &resource);
    api.list(&ListParams::default()).await.unwrap().items
}

#[tokio::test]
async fn records_are_handed_over_once_the_cluster_can_take_them_and_follow_the_spec_there_and_back() {
    let rig = Rig::start().await;
    rig.world.manual_zone(ZONE).unwrap();
    rig.create(&domain()).await;
    let waiting = rig.reason("ExternalDNSUnavailable").await;
    assert_eq!(object::condition_status(&waiting, "Reconciling"), "True", "waiting is no failure");
    assert_eq!(object::records(&waiting).len(), 5, "the records are listed all the same");

    rig.world.control_plane().apply_yaml(CRD).await.unwrap();
    let handed = rig.until("handed over", |o| object::condition_status(o, "RecordsSynced") == "True").await;
    assert_eq!(handed["status"]["dns"]["provider"], "ExternalDNS");
    let found = endpoints(&rig).await;
    let [endpoint] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(endpoint.metadata.labels.as_ref().unwrap()["team"], "mail");
    let owner = &endpoint.metadata.owner_references.as_ref().unwrap()[0];
    // By this the cluster's garbage collector takes it away with the object.
    assert_eq!((owner.kind.as_str(), owner.name.as_str()), ("SendingDomain", NAME));
    assert_eq!(handed["metadata"]["uid"], owner.uid);
    let listed = endpoint.data["spec"]["endpoints"].as_array().unwrap();
    assert_eq!(listed.len(), 5);
    for (endpoint, record) in listed.iter().zip(object::records(&handed)) {
        assert_eq!((&endpoint["dnsName"], &endpoint["recordType"]), (&record["name"], &record["type"]));
        assert_eq!(endpoint["recordTTL"], 300);
        assert!(endpoint["targets"][0].as_str().unwrap().ends_with(record["value"].as_str().unwrap()));
    }

    // ExternalDNS does its part.
    rig.world.publish(&handed).unwrap();
    rig.ready().await;
    assert!(rig.world.cloudflare().calls().is_empty());
    let writes = rig.kubernetes_writes().iter().filter(|w| w.contains("dnsendpoints")).count();
    assert_eq!(writes, 1, "handed over once: {:?}", rig.kubernetes_writes());

    rig.finish().await;
    // All tests share one cluster, and those that need the CRD have to come after the one that needs its absence.
    changes::from_cloudflare_to_external_dns_and_back_and_retained().await;
}
