//! The operator's program.

fn main() {
    print!("{}", sending_domain_operator::api::crd::crd_yaml().unwrap());
}
