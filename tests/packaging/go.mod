// What is shipped besides the program - chart, manifests, alerts, scripts - is tried here with the real tools.
module packaging

go 1.26.0

require sigs.k8s.io/yaml v1.6.0

require go.yaml.in/yaml/v2 v2.4.2 // indirect
