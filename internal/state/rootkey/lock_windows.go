package rootkey

import (
	"path/filepath"

	"golang.org/x/sys/windows"
)

// hold makes a file that nobody else can open and that goes with its handle.
func hold(dir string) (release func(), err error) {
	name, err := windows.UTF16PtrFromString(filepath.Join(dir, "root.lock"))
	if err != nil {
		return nil, err
	}
	h, err := windows.CreateFile(name, windows.GENERIC_WRITE, 0, nil, windows.OPEN_ALWAYS, windows.FILE_FLAG_DELETE_ON_CLOSE, 0)
	if err == windows.ERROR_SHARING_VIOLATION || err == windows.ERROR_ACCESS_DENIED {
		return nil, errHeld
	}
	if err != nil {
		return nil, err
	}
	return func() { _ = windows.CloseHandle(h) }, nil
}
