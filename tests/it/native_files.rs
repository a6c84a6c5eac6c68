//! Native files: rules, registries and options end to end.

use crate::support::Place;

#[test]
fn all_mistakes_of_a_native_file_are_shown() {
    let file = "version: 1\nrules:\n  - {from: q.io/x:v1, tags: v2, to: r.example/x}\n  - {from: q.io/y, too: r.example/y}\n";
    let place = Place::new().file("mirror.yaml", file);
    place
        .run(&["--config", "mirror.yaml", "--referrers-type", ""])
        .exits(2)
        .says("mirror.yaml:3:12: the tag is given twice: in `from` and in `tags` (line 3). Remove one of the two.")
        .says("mirror.yaml:4:21: unknown key `too`. Write `to`.")
        .says("--referrers-type: an empty artifact type matches nothing.");
}
