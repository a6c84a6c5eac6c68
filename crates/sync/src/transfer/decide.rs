//! Decision for one blob that one repository may lack: a pure function over the known facts.

use crate::inventory::{BlobKnowledge, MountCandidate, MountConfidence};

/// Facts about a blob that a repository may lack.
#[derive(Debug)]
pub(crate) struct Situation {
    /// Locations of the blob, and the mount behavior of the registry. A source in the same registry is the first
    /// candidate.
    pub(crate) known: BlobKnowledge,
    /// Another task brings the blob to this repository.
    pub(crate) uploading_here: bool,
    /// Another task brings the blob to another repository of the same registry.
    pub(crate) uploading_to_sibling: bool,
    /// A mount of a blob that no manifest is known to name is in flight for the first time.
    pub(crate) probing_mount: bool,
    /// An image that began earlier will commit the blob in another repository of the same registry.
    pub(crate) committing_to_sibling: bool,
}

/// Action for the blob.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// None: the blob is present.
    Present,
    /// Wait for the task that brings it here, then decide again.
    AwaitUpload,
    /// Wait for the task that brings it to another repository of the registry, then decide again: it can be mounted
    /// then.
    AwaitSibling,
    /// Wait for the answer to the first mount, then decide again.
    AwaitMountProbe,
    /// Wait until a manifest names it in another repository of the registry, then decide again: it can be mounted then.
    AwaitCommit,
    /// Take the lease, check with a HEAD whether it is present, as the records say, and decide again if it is not.
    LookUp,
    /// Take the lease and request a mount.
    Mount(MountCandidate),
    /// Take the lease and send the bytes without a check: the registry is not believed.
    SendUnchecked,
    /// Take the lease and send the bytes, unless the registry reports the blob as present; share a download that
    /// gathers readers.
    Upload,
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
pub(crate) fn decide(situation: Situation) -> Decision {
    let Situation {
        known,
        uploading_here,
        uploading_to_sibling,
        probing_mount,
        committing_to_sibling,
    } = situation;
    if known.here {
        return Decision::Present;
    }
    if uploading_here {
        return Decision::AwaitUpload;
    }
    if known.missing {
        return Decision::SendUnchecked;
    }
    if known.recorded && !known.mounting.reports_existing_blobs() {
        return Decision::LookUp;
    }
    let is_worth_trying = |from: &MountCandidate| known.mounting.is_worth_trying(from.confidence);
    let best = known.elsewhere.into_iter().find(is_worth_trying);
    match best {
        Some(from)
            if probing_mount
                && from.confidence == MountConfidence::Uncommitted
                && !known.mounting.is_tried(MountConfidence::Uncommitted) =>
        {
            Decision::AwaitMountProbe
        }
        Some(from) if from.confidence != MountConfidence::Recorded => Decision::Mount(from),
        _ if uploading_to_sibling && known.mounting.is_worth_awaiting() => Decision::AwaitSibling,
        Some(from) => Decision::Mount(from),
        None if committing_to_sibling && known.mounting.is_commit_worth_awaiting() => {
            Decision::AwaitCommit
        }
        None => Decision::Upload,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use crate::Repository;

    use super::{Decision, Situation, decide};
    use crate::inventory::{BlobKnowledge, MountCandidate, MountCapability, MountConfidence};

    const CONFIDENCES: [MountConfidence; 4] = [
        MountConfidence::Uncommitted,
        MountConfidence::Committed,
        MountConfidence::Source,
        MountConfidence::Recorded,
    ];

    /// Returns every history of up to three answers to mounts.
    fn capabilities() -> Vec<MountCapability> {
        let mut all = vec![MountCapability::default()];
        for _ in 0..3 {
            let mut next = all.clone();
            for mounting in &all {
                for confidence in CONFIDENCES {
                    let (mut taken, mut refused) = (*mounting, *mounting);
                    taken.record_success(confidence);
                    refused.record_refusal(confidence);
                    let mut reported = *mounting;
                    reported.record_unrequested_hit();
                    next.extend([taken, refused, reported]);
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
                for confidence in CONFIDENCES {
                    let repository = Repository::parse(&format!("r.example/n{length}")).unwrap();
                    let mut list = list.clone();
                    list.push(MountCandidate {
                        repository,
                        confidence,
                    });
                    all.push(list);
                }
            }
        }
        all
    }

    fn check(
        known: BlobKnowledge,
        [
            uploading_here,
            uploading_to_sibling,
            probing_mount,
            committing_to_sibling,
        ]: [bool; 4],
    ) {
        let mounting = known.mounting;
        let elsewhere = known.elsewhere.clone();
        let here = known.here;
        let (missing, recorded) = (known.missing, known.recorded);
        let asked = |from: &&MountCandidate| mounting.is_worth_trying(from.confidence);
        let best = elsewhere.iter().find(asked);
        let decision = decide(Situation {
            known,
            uploading_here,
            uploading_to_sibling,
            probing_mount,
            committing_to_sibling,
        });
        assert_eq!(decision == Decision::Present, here);
        assert_eq!(decision == Decision::AwaitUpload, !here && uploading_here);
        if here || uploading_here {
            return;
        }
        assert_eq!(decision == Decision::SendUnchecked, missing);
        if missing {
            return;
        }
        assert_eq!(
            decision == Decision::LookUp,
            recorded && !mounting.reports_existing_blobs()
        );
        let sure = best.is_some_and(|from| from.confidence != MountConfidence::Recorded);
        match decision {
            Decision::LookUp => {}
            Decision::AwaitMountProbe => {
                assert!(probing_mount && !mounting.is_tried(MountConfidence::Uncommitted));
                assert_eq!(best.unwrap().confidence, MountConfidence::Uncommitted);
            }
            Decision::AwaitCommit => {
                assert!(committing_to_sibling && best.is_none());
                assert!(!mounting.is_worth_awaiting() && mounting.is_commit_worth_awaiting());
            }
            Decision::Mount(from) => {
                assert_eq!(Some(&from), best);
                assert!(sure || !(uploading_to_sibling && mounting.is_worth_awaiting()));
            }
            Decision::AwaitSibling => {
                assert!(!sure && uploading_to_sibling && mounting.is_worth_awaiting());
            }
            Decision::Upload => {
                assert!(best.is_none() && !(uploading_to_sibling && mounting.is_worth_awaiting()));
                assert!(!(committing_to_sibling && mounting.is_commit_worth_awaiting()));
            }
            other => panic!("{other:?} was settled above"),
        }
    }

    #[test]
    fn every_situation_gets_the_cheapest_decision() {
        let mut situations = 0_u32;
        for mounting in capabilities() {
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
    fn no_wait_for_a_mount_that_will_be_refused() {
        let sibling = |mounting| {
            decide(Situation {
                known: BlobKnowledge {
                    mounting,
                    ..BlobKnowledge::default()
                },
                uploading_here: false,
                uploading_to_sibling: true,
                probing_mount: false,
                committing_to_sibling: false,
            })
        };
        let mut mounting = MountCapability::default();
        assert_eq!(sibling(mounting), Decision::AwaitSibling);
        mounting.record_refusal(MountConfidence::Source);
        assert_eq!(sibling(mounting), Decision::AwaitSibling);
        mounting.record_refusal(MountConfidence::Committed);
        assert_eq!(sibling(mounting), Decision::Upload);
    }
}
