//! Addresses with a special purpose: everything that is not a host of the public internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use crate::transport::prefix::Prefix;

/// IANA's IPv4 Special-Purpose Address Registry, complete: the blocks that it calls globally reachable are anycast
/// services, and no registry is among them. Then blocks that it does not list.
const IPV4: &[(&str, &str)] = &[
    ("0.0.0.0/8", "this network, RFC 791"),
    ("10.0.0.0/8", "private use, RFC 1918"),
    (
        "100.64.0.0/10",
        "shared address space, RFC 6598; 100.100.100.200 is Alibaba Cloud's metadata",
    ),
    ("127.0.0.0/8", "loopback, RFC 1122"),
    (
        "169.254.0.0/16",
        "link local, RFC 3927; 169.254.169.254 is most clouds' metadata",
    ),
    ("172.16.0.0/12", "private use, RFC 1918"),
    (
        "192.0.0.0/24",
        "IETF protocol assignments, RFC 6890; 192.0.0.192 is Oracle Cloud's metadata",
    ),
    ("192.0.2.0/24", "documentation (TEST-NET-1), RFC 5737"),
    ("192.31.196.0/24", "AS112-v4, RFC 7535"),
    ("192.52.193.0/24", "AMT, RFC 7450"),
    ("192.88.99.0/24", "6to4 relay anycast, deprecated, RFC 7526"),
    ("192.168.0.0/16", "private use, RFC 1918"),
    (
        "192.175.48.0/24",
        "direct delegation AS112 service, RFC 7534",
    ),
    ("198.18.0.0/15", "benchmarking, RFC 2544"),
    ("198.51.100.0/24", "documentation (TEST-NET-2), RFC 5737"),
    ("203.0.113.0/24", "documentation (TEST-NET-3), RFC 5737"),
    (
        "240.0.0.0/4",
        "reserved, RFC 1112; limited broadcast, RFC 8190",
    ),
    ("224.0.0.0/4", "multicast, RFC 5771"),
    ("168.63.129.16/32", "Azure's platform services (WireServer)"),
];

/// IANA's IPv6 Special-Purpose Address Registry, complete except for the blocks that embed an IPv4 address: that
/// address is checked instead. Then blocks that it does not list.
const IPV6: &[(&str, &str)] = &[
    ("::1/128", "loopback, RFC 4291"),
    ("64:ff9b:1::/48", "translation within a network, RFC 8215"),
    ("100::/64", "discard only, RFC 6666"),
    ("100:0:0:1::/64", "dummy prefix, RFC 9780"),
    (
        "2001::/23",
        "IETF protocol assignments, RFC 2928; Teredo, ORCHID, benchmarking",
    ),
    ("2001:db8::/32", "documentation, RFC 3849"),
    (
        "2620:4f:8000::/48",
        "direct delegation AS112 service, RFC 7534",
    ),
    ("3fff::/20", "documentation, RFC 9637"),
    ("5f00::/16", "segment routing (SRv6) SIDs, RFC 9602"),
    (
        "fc00::/7",
        "unique local, RFC 4193; fd00:ec2::254 and fd20:ce::254 are AWS's and Google's metadata",
    ),
    ("fe80::/10", "link local, RFC 4291"),
    (
        "fec0::/10",
        "site local, deprecated and still routed here and there, RFC 3879",
    ),
    ("ff00::/8", "multicast, RFC 4291"),
];

static BLOCKS: LazyLock<Vec<Prefix>> = LazyLock::new(|| {
    let blocks = IPV4.iter().chain(IPV6);
    blocks
        .filter_map(|(block, _)| Prefix::parse(block))
        .collect()
});

/// Returns whether `address` is private, or has another special purpose.
pub(super) fn is_special(address: IpAddr) -> bool {
    let address = match address {
        IpAddr::V6(v6) => embedded(v6).map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    };
    BLOCKS.iter().any(|block| block.contains(address))
}

/// Returns the IPv4 address that an IPv6 address embeds: mapped, compatible (`::` included), behind NAT64 or 6to4.
fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => None,
        // Mapped, compatible, and translated by SIIT (RFC 2765).
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_block_is_read() {
        assert_eq!(BLOCKS.len(), IPV4.len() + IPV6.len());
    }

    #[test]
    #[allow(clippy::too_many_lines, reason = "a table, one line a block")]
    fn the_first_and_the_last_address_of_each_block_are_special_and_those_around_are_not() {
        for (first, last, before, after) in [
            ("0.0.0.0", "0.255.255.255", None, Some("1.0.0.0")),
            (
                "10.0.0.0",
                "10.255.255.255",
                Some("9.255.255.255"),
                Some("11.0.0.0"),
            ),
            (
                "100.64.0.0",
                "100.127.255.255",
                Some("100.63.255.255"),
                Some("100.128.0.0"),
            ),
            (
                "127.0.0.0",
                "127.255.255.255",
                Some("126.255.255.255"),
                Some("128.0.0.0"),
            ),
            (
                "169.254.0.0",
                "169.254.255.255",
                Some("169.253.255.255"),
                Some("169.255.0.0"),
            ),
            (
                "172.16.0.0",
                "172.31.255.255",
                Some("172.15.255.255"),
                Some("172.32.0.0"),
            ),
            (
                "192.0.0.0",
                "192.0.0.255",
                Some("191.255.255.255"),
                Some("192.0.1.0"),
            ),
            (
                "192.0.2.0",
                "192.0.2.255",
                Some("192.0.1.255"),
                Some("192.0.3.0"),
            ),
            (
                "192.31.196.0",
                "192.31.196.255",
                Some("192.31.195.255"),
                Some("192.31.197.0"),
            ),
            (
                "192.52.193.0",
                "192.52.193.255",
                Some("192.52.192.255"),
                Some("192.52.194.0"),
            ),
            (
                "192.88.99.0",
                "192.88.99.255",
                Some("192.88.98.255"),
                Some("192.88.100.0"),
            ),
            (
                "192.168.0.0",
                "192.168.255.255",
                Some("192.167.255.255"),
                Some("192.169.0.0"),
            ),
            (
                "192.175.48.0",
                "192.175.48.255",
                Some("192.175.47.255"),
                Some("192.175.49.0"),
            ),
            (
                "198.18.0.0",
                "198.19.255.255",
                Some("198.17.255.255"),
                Some("198.20.0.0"),
            ),
            (
                "198.51.100.0",
                "198.51.100.255",
                Some("198.51.99.255"),
                Some("198.51.101.0"),
            ),
            (
                "203.0.113.0",
                "203.0.113.255",
                Some("203.0.112.255"),
                Some("203.0.114.0"),
            ),
            (
                "224.0.0.0",
                "255.255.255.255",
                Some("223.255.255.255"),
                None,
            ),
            (
                "168.63.129.16",
                "168.63.129.16",
                Some("168.63.129.15"),
                Some("168.63.129.17"),
            ),
            ("::1", "::1", None, None),
            (
                "64:ff9b:1::",
                "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
                Some("64:ff9b:0:ffff::"),
                Some("64:ff9b:2::"),
            ),
            (
                "100::",
                "100::1:ffff:ffff:ffff:ffff",
                None,
                Some("100:0:0:2::"),
            ),
            (
                "2001::",
                "2001:1ff:ffff::",
                Some("2000:ffff::"),
                Some("2001:200::"),
            ),
            (
                "2001:db8::",
                "2001:db8:ffff::",
                Some("2001:db7::"),
                Some("2001:db9::"),
            ),
            (
                "2620:4f:8000::",
                "2620:4f:8000:ffff::",
                Some("2620:4f:7fff::"),
                Some("2620:4f:8001::"),
            ),
            (
                "3fff::",
                "3fff:fff:ffff::",
                Some("3ffe::"),
                Some("3fff:1000::"),
            ),
            ("5f00::", "5f00:ffff::", Some("5eff::"), Some("5f01::")),
            ("fc00::", "fdff:ffff::", Some("fbff::"), Some("fe00::")),
            ("fe80::", "feff:ffff::", Some("fe7f::"), None),
            ("ff00::", "ffff::", None, None),
        ] {
            for (address, special) in [
                (Some(first), true),
                (Some(last), true),
                (before, false),
                (after, false),
            ] {
                if let Some(text) = address {
                    assert_eq!(is_special(text.parse().unwrap()), special, "{text}");
                }
            }
        }
    }

    #[test]
    fn metadata_addresses_of_clouds_are_special() {
        for address in [
            "169.254.169.254",
            "169.254.170.2",
            "169.254.42.42",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "fe80::a9fe:a9fe",
        ] {
            assert!(is_special(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn addresses_within_addresses_are_looked_at() {
        for (address, special) in [
            ("::", true),
            ("::10.0.0.1", true),
            ("::8.8.8.8", false),
            ("::ffff:10.0.0.1", true),
            ("::ffff:168.63.129.16", true),
            ("::ffff:8.8.8.8", false),
            ("::ffff:0:10.0.0.1", true),
            ("64:ff9b::169.254.169.254", true),
            ("64:ff9b::8.8.8.8", false),
            ("64:ff9b:1::8.8.8.8", true),
            ("2002:7f00:1::", true),
            ("2002:a00:1::5", true),
            ("2002:808:808::", false),
            // Teredo, for every embedded address.
            ("2001:0:808:808::f7f7:f7f7", true),
        ] {
            assert_eq!(is_special(address.parse().unwrap()), special, "{address}");
        }
    }
}
