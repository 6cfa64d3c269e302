#!/bin/sh
# Collects the parts of the installed PostgreSQL that the image needs below a root directory: `collect.sh ROOT`.
# Left out: the JIT compiler (130 MB with LLVM), header files, manuals, translations, tools for the package manager,
# and ICU's data (31 MB): the library stays, since the server is linked with it, but databases here sort by libc's locale.
set -eu
root=$1
server=/usr/lib/postgresql/15
mkdir -p "$root$server/bin" "$root$server/lib" "$root/usr/share/postgresql" "$root/usr/share/doc/postgresql-15"

for tool in postgres pg_ctl initdb pg_controldata psql pg_isready pg_dump pg_restore; do
  cp "$server/bin/$tool" "$root$server/bin/"
done
cp "$server"/lib/*.so "$root$server/lib/"
rm "$root$server/lib/llvmjit.so"
cp -r /usr/share/postgresql/15 "$root/usr/share/postgresql/"
rm -r "$root/usr/share/postgresql/15/man" "$root/usr/share/postgresql/15/contrib"
cp /usr/share/doc/postgresql-15/copyright "$root/usr/share/doc/postgresql-15/"

# Shared libraries that the base image does not have.
ldd "$root$server"/bin/* "$root$server"/lib/*.so | awk '$2 == "=>" && $3 ~ "^/" { print $3 }' | sort -u > /tmp/needed
while read -r library; do
  grep -qxF "$library" /tmp/base-libraries && continue
  mkdir -p "$root/usr/lib/$(basename "$(dirname "$library")")"
  cp "$library" "$root/usr/lib/$(basename "$(dirname "$library")")/"
done < /tmp/needed

# ICU's own way to go without data: a library with an empty table of contents ("ToCP").
data=$(ls "$root"/usr/lib/*/libicudata.so.*)
as -o /tmp/icudata.o - << 'END'
    .section .rodata
    .balign 16
    .globl icudt72_dat
    .type icudt72_dat, %object
icudt72_dat:
    .short 32
    .byte 0xda, 0x27
    .short 20, 0
    .byte 0, 0, 2, 0
    .ascii "ToCP"
    .byte 1, 0, 0, 0, 0, 0, 0, 0
    .zero 8
    .long 0, 0
    .size icudt72_dat, . - icudt72_dat
    .section .note.GNU-stack, "", %progbits
END
ld -shared -soname "$(basename "$data")" -o "$data" /tmp/icudata.o
