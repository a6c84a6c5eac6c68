//! Legitimate behaviors of registries, and the outcome of an image there.

use testkit::fault::Handle;
use testkit::profile::{
    Existence, Immutable, MountRule, PatchRule, Profile, RangeForm, StaleSession, Unknown,
};
use testkit::{Action, Cut, Fault, Image, Kind, Layer};

use crate::expect::{AGAIN, Expect};
use crate::matrix::{has_expected_outcome, reasons, run_all};
use crate::registry_pair::{AIM, OTHER_TO, RegistryPair, TO, shared};

const MIB: u64 = 1024 * 1024;

/// A behavior of a destination.
pub(crate) struct RegistryBehavior {
    /// Name in the document.
    pub(crate) name: String,
    change: Box<dyn Fn(&mut Profile) + Sync>,
    /// Prepares the content there, and an additional fault.
    prepare: fn(&RegistryPair) -> Option<Handle>,
    /// The other images can arrive there.
    others: bool,
    pub(crate) expect: Expect,
}

fn behavior(
    name: impl Into<String>,
    expect: Expect,
    change: impl Fn(&mut Profile) + Sync + 'static,
) -> RegistryBehavior {
    RegistryBehavior {
        name: name.into(),
        change: Box::new(change),
        prepare: |_| None,
        others: true,
        expect,
    }
}

impl RegistryBehavior {
    fn prepared(self, prepare: fn(&RegistryPair) -> Option<Handle>) -> Self {
        Self { prepare, ..self }
    }
    fn for_everybody(self) -> Self {
        Self {
            others: false,
            ..self
        }
    }
}

/// Returns an image with a layer that is large enough for an upload to be resumed.
fn aim() -> Image {
    Image::single([shared(), Layer::synthetic(3 * MIB, 2)])
}

/// Returns all behaviors.
pub(crate) fn behaviors() -> Vec<RegistryBehavior> {
    let mut behaviors = sessions();
    behaviors.extend(forms());
    behaviors.extend(mounts());
    behaviors.extend(tags());
    behaviors.extend(refusals());
    behaviors
}

/// Breaks the upload of the large layer within its body, once.
#[allow(clippy::unnecessary_wraps, reason = "some preparations break nothing")]
fn breaks_once(world: &RegistryPair) -> Option<Handle> {
    let fault = Fault::on([Kind::UploadPut, Kind::UploadPatch])
        .repository(TO)
        .matching(|request| {
            let length = request.header("content-length");
            length.is_some_and(|length| length.parse().is_ok_and(|length: u64| length > MIB))
        });
    let cut = Action::CutRequest {
        after: MIB + 1,
        how: Cut::Reset,
    };
    Some(world.destination.fault(fault.nth(1), cut))
}

/// A name, and the profile whose rules for sessions apply.
type Flavour = (&'static str, fn() -> Profile);

/// Returns the rules for sessions of well-known registries.
fn flavours() -> [Flavour; 8] {
    [
        ("distribution 2.8", Profile::distribution),
        ("distribution 3", Profile::distribution3),
        ("Harbor", || Profile {
            existence: Existence::Nothing,
            ..Profile::harbor()
        }),
        ("Quay", || Profile {
            existence: Existence::Nothing,
            ..Profile::quay()
        }),
        ("ECR", || Profile {
            existence: Existence::Nothing,
            ..Profile::ecr()
        }),
        ("Gitea", Profile::gitea),
        ("Google", Profile::google),
        ("GHCR", Profile::ghcr),
    ]
}

fn sessions() -> Vec<RegistryBehavior> {
    let resumed = Expect::Copied("from the offset of the session, or in a new session");
    let mut behaviors = Vec::new();
    for (name, profile) in flavours() {
        let whole = format!("an upload PUT breaks, with sessions like those of {name}");
        behaviors.push(behavior(whole, resumed, move |p| *p = profile()).prepared(breaks_once));
        let patch = format!("an upload PATCH breaks, with sessions like those of {name}");
        let patched = behavior(patch, resumed, move |p| {
            *p = Profile {
                refuses_whole_put: Some(405),
                ..profile()
            };
        });
        behaviors.push(patched.prepared(breaks_once));
    }
    for (name, stale) in [
        ("is refused", StaleSession::Refused),
        ("is invalid", StaleSession::Invalid),
        ("kills it", StaleSession::Killed),
    ] {
        let name = format!("an upload breaks, and the old address of its session {name}");
        let broken = behavior(name, resumed, move |p| p.stale_session = stale);
        behaviors.push(broken.prepared(breaks_once));
    }
    let silent = behavior(
        "an upload breaks, and sessions do not report their offset",
        resumed,
        |p| {
            p.upload_range = RangeForm::Absent;
        },
    );
    behaviors.push(silent.prepared(breaks_once));
    let mute = behavior(
        "an upload breaks, and sessions have no status request",
        resumed,
        |p| {
            p.refuses_status = Some(405);
        },
    );
    behaviors.push(mute.prepared(breaks_once));
    behaviors
}

fn forms() -> Vec<RegistryBehavior> {
    let patched = Expect::Copied("by PATCH");
    let chunked = Expect::Copied("in chunks");
    let mut behaviors: Vec<RegistryBehavior> = [404, 405, 501]
        .map(|status| {
            let name = format!("a PUT with the whole blob is answered {status}");
            behavior(name, patched, move |p| p.refuses_whole_put = Some(status))
        })
        .into();
    behaviors.extend([
        behavior("a PUT above 1 MiB is answered 413", patched, |p| {
            p.put_limit = Some(MIB);
        }),
        behavior("PUT and PATCH above 1 MiB are answered 413", chunked, |p| {
            p.put_limit = Some(MIB);
            p.patch_limit = Some((MIB, 413));
        }),
        behavior(
            "PUT and PATCH above 1 MiB are answered 413 and 416",
            chunked,
            |p| {
                p.put_limit = Some(MIB);
                p.patch_limit = Some((MIB, 416));
            },
        ),
        behavior(
            "chunks are at least 2 MiB, and PUT is refused",
            patched,
            |p| {
                p.refuses_whole_put = Some(405);
                p.chunk_min_length = Some(2 * MIB);
            },
        ),
        behavior(
            "chunks are at least 2 MiB, and an upload breaks",
            AGAIN,
            |p| {
                p.chunk_min_length = Some(2 * MIB);
            },
        )
        .prepared(breaks_once),
        behavior(
            "a second PATCH is refused, and an upload breaks",
            AGAIN,
            |p| {
                p.refuses_whole_put = Some(405);
                p.patch = PatchRule {
                    second: Some(404),
                    ..p.patch
                };
            },
        )
        .prepared(breaks_once),
    ]);
    behaviors
}

fn mounts() -> Vec<RegistryBehavior> {
    let mut behaviors = Vec::new();
    for status in [400, 401, 403, 404, 405, 500, 503] {
        let name = format!("every mount is answered {status}");
        behaviors.push(behavior(name, Expect::Copied("by an upload"), move |p| {
            p.mount = MountRule::Refuse(status);
        }));
    }
    behaviors.push(behavior(
        "every mount is declined",
        Expect::Copied("by an upload"),
        |p| {
            p.mount = MountRule::Decline;
        },
    ));
    behaviors
}

fn tags() -> Vec<RegistryBehavior> {
    let mut behaviors = Vec::new();
    for (name, rule, says) in [
        ("ECR", Immutable::Ecr, "400 Bad Request (TAG_INVALID"),
        ("Harbor", Immutable::Harbor, "412 Precondition Failed"),
        ("Quay", Immutable::Quay, "409 Conflict (TAG_IMMUTABLE"),
    ] {
        let immutable = move |p: &mut Profile| p.immutable_tags = Some(rule);
        let taken = format!("the tag cannot be moved, as at {name}, and is another image");
        behaviors.push(
            behavior(taken, Expect::Fails(says), immutable).prepared(|world| {
                let old = Image::single([Layer::synthetic(500, 77)]);
                world.destination.push(TO, Some(AIM), &old);
                None
            }),
        );
        let there = format!("the tag cannot be moved, as at {name}, and is this image");
        behaviors.push(
            behavior(there, Expect::Copied("before, and left alone"), immutable).prepared(
                |world| {
                    world.destination.push(TO, Some(AIM), &aim());
                    None
                },
            ),
        );
        let lost = format!("the tag cannot be moved, as at {name}, and the reply to it is lost");
        behaviors.push(
            behavior(
                lost,
                Expect::Copied("since a HEAD finds it there"),
                immutable,
            )
            .prepared(|world| {
                let push = Fault::on(Kind::ManifestPut).repository(TO).nth(1);
                let lost = Action::LoseReply(Cut::Reset);
                Some(world.destination.fault(push, lost))
            }),
        );
    }
    behaviors
}

fn refusals() -> Vec<RegistryBehavior> {
    let mut behaviors = Vec::new();
    for (name, unknown, says) in [
        ("404", Unknown::NotFound, "404 Not Found (NAME_UNKNOWN"),
        ("401", Unknown::Unauthorized, "401 Unauthorized"),
        ("401 as at Harbor", Unknown::ProjectNotFound, "project"),
        ("403", Unknown::Denied, "403 Forbidden (DENIED"),
    ] {
        let name = format!("the repository must exist and does not: {name}");
        let missing = behavior(name, Expect::Fails(says), move |p| {
            p.existence = Existence::Repository;
            p.unknown_repository = unknown;
        });
        behaviors.push(missing.prepared(|world| {
            world.destination.state().create_repository(OTHER_TO);
            None
        }));
    }
    behaviors.push(
        behavior(
            "manifests are rewritten",
            Expect::Fails("the registry rewrote the manifest"),
            |p| p.rewrites_manifests = true,
        )
        .for_everybody(),
    );
    behaviors.push(
        behavior(
            "a web server answers 200 to everything",
            Expect::Fails("what came is a web page"),
            |p| p.web_server = Some((200, 200)),
        )
        .for_everybody(),
    );
    behaviors
}

#[test]
fn every_behavior_of_a_registry() {
    let complaints = run_all(&behaviors(), async |behavior| {
        judge(behavior)
            .await
            .map_err(|why| format!("{}: {why}", behavior.name))
    });
    assert!(
        complaints.is_empty(),
        "registries: \n{}",
        complaints.join("\n")
    );
}

async fn judge(behavior: &RegistryBehavior) -> Result<(), String> {
    let mut profile = Profile::distribution3();
    (behavior.change)(&mut profile);
    let mut world = RegistryPair::with(Profile::distribution3(), profile, &aim()).await;
    // One after the other, so that the others have content to mount.
    world.images = 1;
    let handle = (behavior.prepare)(&world);
    let mut summary = world.copy().await;
    if handle.is_some_and(|handle| handle.hits() != 1) {
        return Err("nothing broke off".to_owned());
    }
    let others = world.check_others_arrived();
    if behavior.others {
        others.map_err(|why| format!("another image: {why}; {:?}", reasons(&summary)))?;
    } else {
        others.err().ok_or("the others arrived")?;
        if summary.failures.len() != 3 {
            return Err(format!("{:?}", reasons(&summary)));
        }
        summary.failures.truncate(1);
    }
    has_expected_outcome(&world, behavior.expect, &summary)
}
