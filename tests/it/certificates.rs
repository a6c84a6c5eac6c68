//! Certificates for single registries: `certs.d`, as in podman, skopeo and docker.

use testkit::{Registry, Tls};

use crate::support::{Outcome, Place, image, registry};

/// Starts a registry with TLS and an image.
fn source(tls: &Tls) -> Registry {
    let source = Registry::builder().tls(tls.clone()).start_on_thread();
    source.push("a", Some("v1"), &image("a"));
    source
}

/// Returns a home with a file in the folder of `registry` below `directory`.
fn with(place: Place, directory: &str, registry: &Registry, name: &str, text: &str) -> Place {
    let folder = format!("{directory}/{}", registry.host());
    std::fs::create_dir_all(place.path(&folder)).unwrap();
    place.file(&format!("{folder}/{name}"), text)
}

/// Copies the image to a registry without TLS.
fn copy(place: &Place, source: &Registry) -> Outcome {
    let destination = registry();
    let to = destination.host();
    let from = format!("{}/a:v1", source.host());
    let flags = ["copy", "-r0", "--insecure", &to, &from, &format!("{to}/b")];
    place.run(&flags)
}

#[test]
fn authorities_in_the_folder_of_a_registry_are_trusted_for_it_only() {
    let tls = Tls::new();
    let (one, other) = (source(&tls), source(&tls));
    let folder = ".config/containers/certs.d";
    let place = with(Place::new(), folder, &one, "ca.crt", &tls.ca_pem());
    copy(&place, &one).exits(0).says("1 copied");
    copy(&place, &other)
        .exits(1)
        .says("its certificate is not trusted: issued by an unknown authority")
        .says(&format!(
            "put the authority's certificate into /etc/containers/certs.d/{}/ca.crt",
            other.host()
        ));
    assert_eq!(other.requests().len(), 0);

    // `XDG_CONFIG_HOME` replaces `~/.config`.
    let place = with(
        Place::new(),
        "own/containers/certs.d",
        &one,
        "ca.crt",
        &tls.ca_pem(),
    );
    copy(&place, &one).exits(1);
    let own = place.path("own").display().to_string();
    copy(&place.variable("XDG_CONFIG_HOME", &own), &one).exits(0);
}

#[test]
fn client_certificates_are_shown_to_registries_that_demand_them() {
    let tls = Tls::new().demanding_clients();
    let guarded = source(&tls);
    let folder = ".config/containers/certs.d";
    let place = with(Place::new(), folder, &guarded, "ca.crt", &tls.ca_pem());
    copy(&place, &guarded)
        .exits(1)
        .says("it requires a client certificate that it accepts")
        .says(&format!(
            "put a client certificate that {0} accepts, and its key, into /etc/containers/certs.d/{0}/ as client.cert and \
             client.key",
            guarded.host()
        ));
    let stranger = Tls::new().client_pem().unwrap();
    let client = tls.client_pem().unwrap();
    let place = with(place, folder, &guarded, "a.cert", &stranger.certificate);
    let place = with(place, folder, &guarded, "a.key", &stranger.key);
    copy(&place, &guarded)
        .exits(1)
        .says("it requires a client certificate that it accepts");
    let place = with(place, folder, &guarded, "a.cert", &client.certificate);
    copy(&place, &guarded)
        .exits(1)
        .says("/a.key is not the one of the client certificate ")
        .does_not_say("PRIVATE");
    let place = with(place, folder, &guarded, "a.key", &client.key);
    copy(&place, &guarded).exits(0).says("1 copied");
    // The same without verification of the registry's certificate.
    let destination = registry();
    let (from, to) = (guarded.host(), destination.host());
    let insecure = format!("{from},{to}");
    place
        .run(&[
            "copy",
            "--insecure",
            &insecure,
            &format!("{from}/a:v1"),
            &format!("{to}/b"),
        ])
        .exits(0);
}

#[test]
fn an_invalid_folder_is_an_error_and_an_unreadable_one_a_warning() {
    let tls = Tls::new();
    let source = source(&tls);
    let client = tls.client_pem().unwrap();
    let folder = ".config/containers/certs.d";
    for (name, text, said) in [
        (
            "client.cert",
            &client.certificate,
            "client.cert has no key: client.key is missing beside it",
        ),
        (
            "client.key",
            &client.key,
            "client.key has no client certificate: client.cert is missing beside it",
        ),
    ] {
        let place = with(Place::new(), folder, &source, "ca.crt", &tls.ca_pem());
        let place = with(place, folder, &source, name, text);
        copy(&place, &source).exits(1).says(said);
    }
    assert_eq!(source.requests().len(), 0);

    let place = with(Place::new(), folder, &source, "ca.crt", "no certificate");
    copy(&place, &source)
        .exits(1)
        .says("ca.crt is not used: there is no certificate in it")
        .says("issued by an unknown authority");
    let place = Place::new();
    std::fs::create_dir_all(place.path(folder)).unwrap();
    let place = place.file(&format!("{folder}/{}", source.host()), "no folder");
    copy(&place, &source)
        .exits(1)
        .says("are not used: a part of its path is no directory");
}
