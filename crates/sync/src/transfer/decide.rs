//! Decision for one blob that one repository lacks: a pure function over the known facts.

use crate::inventory::{BlobKnowledge, MountCandidate, MountConfidence};

/// Facts about a blob that a repository lacks.
#[derive(Debug)]
pub(super) struct Situation {
    /// Locations of the blob, and the mount behavior of the registry. A source in the same registry is the first
    /// candidate.
    pub(super) known: BlobKnowledge,
    /// Another task brings the blob to this repository.
    pub(super) coming_here: bool,
    /// Another task brings the blob to another repository of the same registry.
    pub(super) coming_near: bool,
    /// A mount of a blob that no manifest is known to name is in flight for the first time.
    pub(super) asking: bool,
    /// An image that began earlier will commit the blob in another repository of the same registry.
    pub(super) committing_near: bool,
}

/// Action for the blob.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// None: the blob is present.
    Present,
    /// Wait for the task that brings it here, then decide again.
    AwaitHere,
    /// Wait for the task that brings it to another repository of the registry, then decide again: it can be mounted
    /// then.
    AwaitNear,
    /// Wait for the answer to the first mount, then decide again.
    AwaitAnswer,
    /// Wait until a manifest names it in another repository of the registry, then decide again: it can be mounted then.
    AwaitCommit,
    /// Take the lease, check whether it is present, as the records say, and decide again.
    Look,
    /// Take the lease and request a mount.
    Mount(MountCandidate),
    /// Take the lease and send the bytes without a check: the registry is not believed.
    Send,
    /// Take the lease and send the bytes, unless the registry reports the blob as present; share a download that
    /// gathers readers.
    Bring,
}

/// Decides by cost, the cheapest action first: nothing, a wait, one request, a wait and one request, the bytes.
///
/// A blob that the repository was found to lack is sent, because mounts and checks led to the loss before. A mount that
/// the registry is known to refuse is not requested, and a wait that could only end in such a mount is not begun.
/// During the first mount of a blob that no manifest names, the others wait for the answer: a registry that mounts only
/// blobs that a manifest names would open a session for each, and each would be sent the bytes.
///
/// The records are never believed without a check. Where they place the blob in this repository, a HEAD checks it,
/// which costs one request if they are right; no HEAD is needed where uploads are known to begin with that check. A
/// mount from a recorded location comes after a wait: if the registry was wiped, each of many repositories would send
/// the blob, and none would mount it.
pub(super) fn decide(situation: Situation) -> Decision {
    let Situation {
        known,
        coming_here,
        coming_near,
        asking,
        committing_near,
    } = situation;
    if known.here {
        return Decision::Present;
    }
    if coming_here {
        return Decision::AwaitHere;
    }
    if known.missing {
        return Decision::Send;
    }
    if known.recorded && !known.mounting.reports_existing_blobs() {
        return Decision::Look;
    }
    let worth_asking = |from: &MountCandidate| known.mounting.is_worth_trying(from.standing);
    let best = known.elsewhere.into_iter().find(worth_asking);
    match best {
        Some(from)
            if asking
                && from.standing == MountConfidence::Uncommitted
                && !known.mounting.is_tried(MountConfidence::Uncommitted) =>
        {
            Decision::AwaitAnswer
        }
        Some(from) if from.standing != MountConfidence::Recorded => Decision::Mount(from),
        _ if coming_near && known.mounting.is_worth_awaiting() => Decision::AwaitNear,
        Some(from) => Decision::Mount(from),
        None if committing_near && known.mounting.is_commit_worth_awaiting() => {
            Decision::AwaitCommit
        }
        None => Decision::Bring,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use image_syncer_registry::Repository;

    use super::{Decision, Situation, decide};
    use crate::inventory::{BlobKnowledge, MountCandidate, MountCapability, MountConfidence};

    const STANDINGS: [MountConfidence; 4] = [
        MountConfidence::Uncommitted,
        MountConfidence::Committed,
        MountConfidence::Source,
        MountConfidence::Recorded,
    ];

    /// Returns every history of up to three answers to mounts.
    fn habits() -> Vec<MountCapability> {
        let mut all = vec![MountCapability::default()];
        for _ in 0..3 {
            let mut next = all.clone();
            for mounting in &all {
                for standing in STANDINGS {
                    let (mut taken, mut declined) = (*mounting, *mounting);
                    taken.record_success(standing);
                    declined.declined(standing);
                    let mut told = *mounting;
                    told.record_unrequested_hit();
                    next.extend([taken, declined, told]);
                }
            }
            all.clear();
            for mounting in next {
                if !all.contains(&mounting) {
                    all.push(mounting);
                }
            }
        }
        all
    }

    /// Returns every list of up to three candidates.
    fn candidates() -> Vec<Vec<MountCandidate>> {
        let mut all = vec![Vec::new()];
        for length in 0..3 {
            let longest: Vec<_> = all.iter().filter(|l| l.len() == length).cloned().collect();
            for list in longest {
                for standing in STANDINGS {
                    let repository = Repository::parse(&format!("r.example/n{length}")).unwrap();
                    let mut list = list.clone();
                    list.push(MountCandidate {
                        repository,
                        standing,
                    });
                    all.push(list);
                }
            }
        }
        all
    }

    fn check(known: BlobKnowledge, [coming_here, coming_near, asking, committing_near]: [bool; 4]) {
        let mounting = known.mounting;
        let elsewhere = known.elsewhere.clone();
        let here = known.here;
        let (missing, recorded) = (known.missing, known.recorded);
        let asked = |from: &&MountCandidate| mounting.is_worth_trying(from.standing);
        let best = elsewhere.iter().find(asked);
        let decision = decide(Situation {
            known,
            coming_here,
            coming_near,
            asking,
            committing_near,
        });
        assert_eq!(decision == Decision::Present, here);
        assert_eq!(decision == Decision::AwaitHere, !here && coming_here);
        if here || coming_here {
            return;
        }
        assert_eq!(decision == Decision::Send, missing);
        if missing {
            return;
        }
        assert_eq!(
            decision == Decision::Look,
            recorded && !mounting.reports_existing_blobs()
        );
        let sure = best.is_some_and(|from| from.standing != MountConfidence::Recorded);
        match decision {
            Decision::Look => {}
            Decision::AwaitAnswer => {
                assert!(asking && !mounting.is_tried(MountConfidence::Uncommitted));
                assert_eq!(best.unwrap().standing, MountConfidence::Uncommitted);
            }
            Decision::AwaitCommit => {
                assert!(committing_near && best.is_none());
                assert!(!mounting.is_worth_awaiting() && mounting.is_commit_worth_awaiting());
            }
            Decision::Mount(from) => {
                assert_eq!(Some(&from), best);
                assert!(sure || !(coming_near && mounting.is_worth_awaiting()));
            }
            Decision::AwaitNear => {
                assert!(!sure && coming_near && mounting.is_worth_awaiting());
            }
            Decision::Bring => {
                assert!(best.is_none() && !(coming_near && mounting.is_worth_awaiting()));
                assert!(!(committing_near && mounting.is_commit_worth_awaiting()));
            }
            other => panic!("{other:?} was settled above"),
        }
    }

    #[test]
    fn every_situation_is_decided_by_what_costs_least() {
        let mut situations = 0_u32;
        for mounting in habits() {
            for elsewhere in candidates() {
                for bits in 0..128_u8 {
                    let known = BlobKnowledge {
                        here: bits & 1 != 0,
                        recorded: bits & 16 != 0,
                        missing: bits & 8 != 0,
                        elsewhere: elsewhere.clone(),
                        mounting,
                    };
                    check(known, [2, 4, 32, 64].map(|bit| bits & bit != 0));
                    situations += 1;
                }
            }
        }
        assert!(situations > 10_000, "{situations}");
    }

    #[test]
    fn who_declines_mounts_is_not_waited_for() {
        let near = |mounting| {
            decide(Situation {
                known: BlobKnowledge {
                    mounting,
                    ..BlobKnowledge::default()
                },
                coming_here: false,
                coming_near: true,
                asking: false,
                committing_near: false,
            })
        };
        let mut mounting = MountCapability::default();
        assert_eq!(near(mounting), Decision::AwaitNear);
        mounting.declined(MountConfidence::Source);
        assert_eq!(near(mounting), Decision::AwaitNear);
        mounting.declined(MountConfidence::Committed);
        assert_eq!(near(mounting), Decision::Bring);
    }
}
