//! One verdict per hostile answer.

use futures::future::join_all;
use hickory_proto::rr::RecordType as WireType;
use sending_domain_operator::dns::lookup::*;
use sending_domain_operator::dns::record::{DnsName, RecordData, RecordType};

use crate::hostile::{Case, Want, cases};
use crate::scripted::*;
use crate::world::*;

fn wanted(want: &Want) -> Result<Answer, &'static str> {
    Ok(match want {
        Want::Texts(texts) => Answer::Records(texts.iter().cloned().map(RecordData::Txt).collect()),
        Want::Cname(target) => Answer::Records(vec![RecordData::Cname(DnsName::new(target))]),
        Want::Mx(hosts) => Answer::Records(
            hosts
                .iter()
                .map(|(priority, host)| RecordData::Mx { priority: *priority, host: DnsName::new(host) })
                .collect(),
        ),
        Want::NoData => Answer::NoData,
        Want::NxDomain => Answer::NxDomain,
        Want::Resolver => Answer::Records(vec![RecordData::Txt("from the resolver".into())]),
        Want::Unknown(text) => return Err(text),
    })
}

async fn try_case(case: Case) -> Option<String> {
    let world = World::with(resolver(1), vec![(case.script, case.tcp)], |_| {}).await;
    let record_type = match case.record_type {
        WireType::MX => RecordType::Mx,
        WireType::CNAME => RecordType::Cname,
        _ => RecordType::Txt,
    };
    let lookup = world.resolver.ask(&DnsName::new(NAME), record_type).await;
    let source = if case.want == Want::Resolver { Source::Recursive } else { Source::Authoritative };
    let as_wanted = match (wanted(&case.want), &lookup.answer) {
        (Ok(wanted), answer) => wanted == *answer,
        (Err(text), Answer::Unknown(error)) => error.to_string() == text,
        (Err(_), _) => false,
    };
    let seen = format!("{:.300}", format!("{lookup:?}"));
    (!as_wanted || lookup.source != source).then(|| format!("{}: wanted {:?}, saw {seen}", case.what, case.want))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c6_e1_e2_e4_e6_e7_every_hostile_answer_has_its_verdict() {
    let cases = cases();
    assert!(cases.len() >= 80, "{} cases", cases.len());
    let wrong: Vec<String> = join_all(cases.into_iter().map(try_case)).await.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
