{{/*
The feature contract: what a model may know two hours before departure, as tensors of an infer request. images/python/lab/contract.py
decides it, and a test holds both together. Its argument says between which values the median of a week may lie, by feature.
*/}}
{{- define "model-server.featureContract" -}}
model: flight-delay
features:
  - {name: hour, datatype: FP64, {{ with .hour }}median: {{ . }}, {{ end }}words: "scheduled hour of departure, 0-23"}
  - {name: dow, datatype: FP64, {{ with .dow }}median: {{ . }}, {{ end }}words: "day of the week, 0 is Monday"}
  - {name: distance, datatype: FP64, {{ with .distance }}median: {{ . }}, {{ end }}words: "miles"}
  - {name: temp, datatype: FP64, {{ with .temp }}median: {{ . }}, {{ end }}words: "degrees Fahrenheit, two hours before departure; so are all that follow"}
  - {name: dewp, datatype: FP64, {{ with .dewp }}median: {{ . }}, {{ end }}words: "dew point, degrees Fahrenheit"}
  - {name: humid, datatype: FP64, {{ with .humid }}median: {{ . }}, {{ end }}words: "relative humidity, percent"}
  - {name: wind_speed, datatype: FP64, {{ with .wind_speed }}median: {{ . }}, {{ end }}words: "miles per hour"}
  - {name: precip, datatype: FP64, words: "inches in the hour"}
  - {name: pressure, datatype: FP64, {{ with .pressure }}median: {{ . }}, {{ end }}words: "millibars"}
  - {name: visib, datatype: FP64, {{ with .visib }}median: {{ . }}, {{ end }}words: "visibility, miles"}
  - {name: carrier, datatype: BYTES, words: "two-letter code"}
  - {name: origin, datatype: BYTES, words: "EWR, JFK or LGA"}
  - {name: dest, datatype: BYTES, words: "three-letter code"}
# Known only after the prediction is due.
forbidden: [dep_time, dep_delay, arr_time, arr_delay, air_time]
{{- end -}}

{{/* One row, ready for POST /v2/models/flight-delay/infer. */}}
{{- define "model-server.request" -}}
{"inputs": [
  {"name": "hour", "shape": [1], "datatype": "FP64", "data": [18]},
  {"name": "dow", "shape": [1], "datatype": "FP64", "data": [4]},
  {"name": "distance", "shape": [1], "datatype": "FP64", "data": [733]},
  {"name": "temp", "shape": [1], "datatype": "FP64", "data": [46.94]},
  {"name": "dewp", "shape": [1], "datatype": "FP64", "data": [41.0]},
  {"name": "humid", "shape": [1], "datatype": "FP64", "data": [79.7]},
  {"name": "wind_speed", "shape": [1], "datatype": "FP64", "data": [6.9]},
  {"name": "precip", "shape": [1], "datatype": "FP64", "data": [0.0]},
  {"name": "pressure", "shape": [1], "datatype": "FP64", "data": [1005.6]},
  {"name": "visib", "shape": [1], "datatype": "FP64", "data": [10.0]},
  {"name": "carrier", "shape": [1], "datatype": "BYTES", "data": ["AA"]},
  {"name": "origin", "shape": [1], "datatype": "BYTES", "data": ["LGA"]},
  {"name": "dest", "shape": [1], "datatype": "BYTES", "data": ["ORD"]}
]}
{{- end -}}
