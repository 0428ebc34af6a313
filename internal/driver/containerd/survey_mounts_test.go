package containerd

import (
	"fmt"
	"testing"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/containerd/volume"
)

func TestJudgeMounts(t *testing.T) {
	known := map[string]string{"db": "space"}
	places := map[place]bool{{"mnt:1", "db", "/data"}: true}
	for _, tt := range []struct {
		name string
		uses volume.Uses
		want string // the only stray
		host bool   // it belongs to no space
	}{
		{
			name: "as the engine does it",
			uses: volume.Uses{Devices: map[string][]string{"db": {"loop1"}}, Mounts: []volume.Use{{Volume: "db", Root: "/data/x", Point: "/data", Namespace: "mnt:1"}}},
		},
		{
			name: "a bind mount on the host",
			uses: volume.Uses{Mounts: []volume.Use{{Volume: "db", Root: "/data", Point: "/mnt", Namespace: "mnt:0", PID: 1}}},
			want: `The part "/data" of the volume db is mounted on "/mnt", where the process 1 sees it.`,
		},
		{
			name: "another place in the container",
			uses: volume.Uses{Mounts: []volume.Use{{Volume: "db", Root: "/", Point: "/srv", Namespace: "mnt:1"}}},
			want: `The part "/" of the volume db is mounted on "/srv"`,
		},
		{
			name: "another container", uses: volume.Uses{Mounts: []volume.Use{{Volume: "db", Root: "/data", Point: "/data", Namespace: "mnt:2"}}},
			want: `The part "/data" of the volume db`,
		},
		{
			name: "a second device", uses: volume.Uses{Devices: map[string][]string{"db": {"loop1", "loop2"}}},
			want: "The image of the volume db has more than one device: loop1, loop2.",
		},
		{
			name: "an image of nobody", uses: volume.Uses{Devices: map[string][]string{"copy": {"loop2"}}},
			want: `The file "copy" among the images`, host: true,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := driver.NewSurvey(driver.AreaMounts)
			s.Add("space", "ward")
			judgeMounts(s, tt.uses, known, places, func(pid int) string { return fmt.Sprint(pid) })
			wantOnly(t, s, tt.want, tt.host)
		})
	}
}
