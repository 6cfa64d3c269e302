#!/bin/sh
# Written by labctl; `labctl doctor --fix` writes it anew.
# A container runtime for machines that lack some capabilities: it takes them
# out of what a container asks for and hands over to runc. Without it, runc
# fails on every privileged container with "unable to apply caps".
# It runs on every start and exec, so it starts one sed at most.

bound() {
	[ -f "$1" ] || return 0
	# The file is one JSON document; a string in it holds no raw newline, so the
	# lines are joined. Only arrays inside a "capabilities" object are edited
	# (bounding, effective, permitted, inheritable, ambient): inside a string the
	# quotes of that key would be escaped, so it can't be met there. sed -i writes
	# a new file beside the old one and renames it.
	sed -i -E \
		-e ':j' -e '$!{' -e 'N' -e 'bj' -e '}' \
		-e ':a' -e 's/("capabilities"[[:space:]]*:[[:space:]]*\{[^{}]*)"CAP_(@CAPS@)"[[:space:]]*,[[:space:]]*/\1/' -e 'ta' \
		-e ':b' -e 's/("capabilities"[[:space:]]*:[[:space:]]*\{[^{}]*[^[:space:][,])[[:space:]]*,[[:space:]]*"CAP_(@CAPS@)"/\1/' -e 'tb' \
		-e ':c' -e 's/("capabilities"[[:space:]]*:[[:space:]]*\{[^{}]*)"CAP_(@CAPS@)"/\1/' -e 'tc' \
		"$1" 2>/dev/null
}

verb= bundle= process= prev=
for arg in "$@"; do
	case "$prev" in
	--bundle | -b) bundle=$arg ;;
	--process | -p) process=$arg ;;
	esac
	case "$arg" in
	--bundle=*) bundle=${arg#*=} ;;
	--process=*) process=${arg#*=} ;;
	create | run | restore | exec) verb=${verb:-$arg} ;;
	esac
	prev=$arg
done

case "$verb" in
create | run | restore) bound "${bundle:-.}/config.json" ;;
exec) [ -z "$process" ] || bound "$process" ;;
esac

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin
exec runc "$@"
