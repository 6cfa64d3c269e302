#!/bin/sh
# Collects the programs and the files behind their pages below a root directory: `collect.sh ROOT`.
# Of JavaScript it takes what the pages name: the packages hold 220 MB, nearly all of it time zones of the past.
set -eu
root=$1
share=/usr/share/prometheus
web=$share/web
push=$share/pushgateway

mkdir -p "$root/usr/bin" "$root$share"
for tool in prometheus prometheus-alertmanager prometheus-pushgateway promtool amtool; do
  cp "/usr/bin/$tool" "$root/usr/bin/"
done
for package in prometheus prometheus-alertmanager prometheus-pushgateway; do
  mkdir -p "$root/usr/share/doc/$package"
  cp "/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/"
done
cp -r --parents "$web/templates" "$push/template.html" "$share"/alertmanager/*.tmpl "$share/alertmanager/no-ui/index.html" "$root"

# Copies files, by their names below a directory on stdin; links into other packages become files.
take() {
  while read -r file; do
    mkdir -p "$root$1/$(dirname "$file")"
    cp -L "$1/$file" "$root$1/$file"
  done
}

{
  grep -rhoE 'classic/static/[A-Za-z0-9./_-]+' "$web/templates" "$web/static/js" | sed 's|classic/||'
  cd "$web" && find static/css static/js static/img -type f
} | sort -u | take "$web"
grep -oE '/static/[A-Za-z0-9./_-]+' "$push/template.html" | sed 's|^/||' | sort -u | take "$push"
# The signs on buttons are a font.
cd "$share" && find -L web/static/vendor/bootstrap4-glyphicons pushgateway/static/bootstrap4-glyphicons -name '*.woff2' | take "$share"
