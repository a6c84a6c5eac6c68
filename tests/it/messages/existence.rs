//! Repositories that must exist, and tags that must not change.

use testkit::auth::Access;
use testkit::profile::{Existence, Immutable, Profile};
use testkit::real::DockerRegistry;
use testkit::{Action, Auth, Fault, Image, Kind, Layer, Registry, Tls};

use super::Case;
use super::peers::proxy_to;
use super::trial::{Message, Trial, real, source};
use crate::support::image;

pub(super) const CASES: &[Case] = &[
    ("not-found", not_found),
    ("repository-missing", at_amazon),
    ("repository-missing", elsewhere),
    ("repository-missing", nothing_to_list),
    ("project-missing", project_missing),
    ("name-refused", name_refused),
    ("immutable-tag", immutable_at_amazon),
    ("immutable-tag", immutable_elsewhere),
    ("tag-conflict", tag_conflict),
    ("tag-exists", tag_exists),
    ("quota-exceeded", quota_exceeded),
    ("storage-full", storage_full),
    ("read-only", read_only),
];

const AMAZON: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

fn not_found() -> Message {
    let source = real(DockerRegistry::builder());
    let destination = crate::support::registry();
    Trial::new(&source.host(), &destination.host()).fails()
}

/// Copies to a registry with a name of Amazon, which a proxy leads to.
fn amazon(prepare: impl FnOnce(&Registry), profile: Profile) -> Message {
    let tls = Tls::new().for_names(&[AMAZON]);
    let ca = tls.ca_pem();
    let builder = Registry::builder().profile(profile).tls(tls);
    let destination = builder.start_on_thread();
    prepare(&destination);
    let source = source();
    let proxy = proxy_to(&destination.address().to_string());
    Trial::new(&source.host(), AMAZON)
        .called(AMAZON, AMAZON)
        .auth(&format!("{}: {{insecure: true}}\n", source.host()))
        .trusting(&ca)
        .variable("HTTPS_PROXY", &format!("http://{proxy}"))
        .variable("NO_PROXY", "127.0.0.1")
        .fails()
}

fn at_amazon() -> Message {
    amazon(|_| {}, Profile::ecr())
}

fn elsewhere() -> Message {
    let profile = Profile {
        existence: Existence::Repository,
        ..Profile::distribution()
    };
    to(profile, |_| {})
}

/// Copies all tags of a repository that does not exist.
fn nothing_to_list() -> Message {
    let source = real(DockerRegistry::builder());
    let destination = crate::support::registry();
    let trial = Trial::new(&source.host(), &destination.host());
    trial.source("team/app").fails()
}

/// Copies to a registry of this profile.
fn to(profile: Profile, prepare: impl FnOnce(&Registry)) -> Message {
    let source = source();
    let destination = Registry::builder().profile(profile).start_on_thread();
    prepare(&destination);
    Trial::new(&source.host(), &destination.host()).fails()
}

fn project_missing() -> Message {
    let source = source();
    let access = Access::new().user("syncer", "right");
    let destination = Registry::builder().harbor(access).start_on_thread();
    let (from, to) = (source.host(), destination.host());
    let auth = format!(
        "{from}: {{insecure: true}}\n{to}: {{username: syncer, password: right, insecure: true}}\n"
    );
    Trial::new(&from, &to).auth(&auth).fails()
}

fn name_refused() -> Message {
    let answer = Action::error(400, "NAME_INVALID", "invalid repository name");
    to(Profile::distribution(), |destination| {
        destination.fault(Fault::on([Kind::UploadPost, Kind::Mount]), answer);
    })
}

fn immutable_at_amazon() -> Message {
    let profile = Profile {
        immutable_tags: Some(Immutable::Ecr),
        ..Profile::ecr()
    };
    amazon(
        |destination| {
            destination.push("mirror/app", Some("v1"), &image("older"));
        },
        profile,
    )
}

fn immutable_elsewhere() -> Message {
    let profile = Profile {
        immutable_tags: Some(Immutable::Harbor),
        ..Profile::distribution()
    };
    to(profile, |destination| {
        destination.push("mirror/app", Some("v1"), &image("older"));
    })
}

fn tag_conflict() -> Message {
    let (source, destination) = (source(), crate::support::registry());
    source.push("team/other", Some("v1"), &image("other"));
    Trial::new(&source.host(), &destination.host())
        .after("team/other:/^v1/")
        .source("team/app:/^v/")
        .fails()
}

fn tag_exists() -> Message {
    let (source, destination) = (source(), crate::support::registry());
    destination.push("mirror/app", Some("v1"), &image("older"));
    Trial::new(&source.host(), &destination.host())
        .arguments(&["--conflict", "fail"])
        .fails()
}

fn quota_exceeded() -> Message {
    let answer = Action::error(
        403,
        "DENIED",
        "adding 29.0 MiB of storage resource, which when updated to current usage of 152.4 MiB will exceed the \
         configured upper limit of 160.0 MiB.",
    );
    to(Profile::distribution(), |destination| {
        destination.fault(Fault::on(Kind::UploadPut), answer);
    })
}

fn storage_full() -> Message {
    const MIB: u64 = 1024 * 1024;
    let source = crate::support::registry();
    let large = Image::single([Layer::synthetic(3 * MIB, 1)]);
    source.push("team/app", Some("v1"), &large);
    let destination = real(DockerRegistry::builder().largest_file(MIB));
    Trial::new(&source.host(), &destination.host()).fails()
}

fn read_only() -> Message {
    let source = source();
    let builder = DockerRegistry::builder().auth(Auth::Anonymous);
    let builder = builder.setting("REGISTRY_STORAGE_MAINTENANCE", "readonly: {enabled: true}");
    let destination = real(builder);
    Trial::new(&source.host(), &destination.host()).fails()
}
