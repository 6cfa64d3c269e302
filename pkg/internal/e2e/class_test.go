//go:build e2e

package e2e

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"labctl.dev/labctl/pkg/kube"
)

// Which labs a student proves in which states; `make smoke-class` asks for more
// than the default.
const (
	classLabsEnv   = "LABCTL_E2E_CLASS_LABS"
	classStatesEnv = "LABCTL_E2E_CLASS_STATES"
)

// student is who may do in one namespace what labctl says that a lab takes, and
// nothing else in the cluster.
const student = "student"

// provesAsStudent proves labs as a class has them: a namespace that is there, and
// a namespaced Role. An API call that this Role forbids fails the proof.
func (m *machine) provesAsStudent(t *testing.T, admin, registry string) {
	t.Helper()
	names, states := asked(t, classLabsEnv, classStatesEnv, []string{labName}, "fresh,solved")
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			kubeconfig := makeStudent(t, admin, "lab-"+name)
			r := m.run(t, "smoke", name, "--kubeconfig", kubeconfig, "--registry", registry, "--states", states, "-o", "json")
			p := decode[proof](t, r.stdout)
			if r.code != 0 || !p.OK || len(p.Labs) != 1 || len(p.Labs[0].States) < 2 {
				t.Errorf("exit code %d, OK %v\n%s", r.code, p.OK, p.unsound())
			}
			// What the learner's tools made, such as a Job, stays in a namespace that is not ours; nothing else does.
			if left := otherKubectl(t, "get", "pods", "-n", "lab-"+name, "-l", "!batch.kubernetes.io/job-name", "-o", "name"); left != "" {
				t.Errorf("left behind: %s", left)
			}
			if left := otherKubectl(t, "get", "secrets,leases", "-n", "lab-"+name, "-o", "name"); left != "" {
				t.Errorf("left behind: %s", left)
			}
		})
	}
}

// makeStudent makes the namespace, the Role with what labctl asks for, and a
// kubeconfig with a token.
func makeStudent(t *testing.T, admin, namespace string) string {
	t.Helper()
	role := rbacv1.Role{TypeMeta: metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "Role"}, ObjectMeta: metav1.ObjectMeta{Name: student, Namespace: namespace}}
	for _, r := range kube.LabRights(namespace, false) {
		role.Rules = append(role.Rules, rbacv1.PolicyRule{APIGroups: []string{r.Group}, Resources: []string{r.Resource}, Verbs: []string{r.Verb}})
	}
	manifest, err := json.Marshal(role)
	if err != nil {
		t.Fatal(err)
	}
	otherKubectl(t, "delete", "namespace", namespace, "--ignore-not-found", "--wait=true")
	otherKubectl(t, "create", "namespace", namespace)
	otherKubectl(t, "label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
	otherKubectl(t, "create", "serviceaccount", student, "-n", namespace)
	node := otherCluster + "-control-plane"
	docker(t, "exec", node, "sh", "-c", "cat > /tmp/role.json <<'END'\n"+string(manifest)+"\nEND")
	otherKubectl(t, "apply", "-f", "/tmp/role.json")
	otherKubectl(t, "create", "rolebinding", student, "-n", namespace, "--role="+student, "--serviceaccount="+namespace+":"+student)
	// The API server learns of a Role a little later than it stores it, and labctl asks at once what it may do.
	eventually(t, "the API server knows the student's rights", time.Minute, func() bool {
		known := otherKubectl(t, "auth", "can-i", "--list", "-n", namespace, "--as=system:serviceaccount:"+namespace+":"+student)
		return strings.Contains(known, "leases")
	})
	token := strings.TrimSpace(otherKubectl(t, "create", "token", student, "-n", namespace, "--duration=3h"))

	config, err := clientcmd.LoadFromFile(admin)
	if err != nil {
		t.Fatal(err)
	}
	context := config.Contexts[config.CurrentContext]
	config.AuthInfos = map[string]*clientcmdapi.AuthInfo{student: {Token: token}}
	config.Contexts = map[string]*clientcmdapi.Context{student: {Cluster: context.Cluster, AuthInfo: student, Namespace: namespace}}
	config.CurrentContext = student
	path := filepath.Join(t.TempDir(), "student.kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return path
}
