package charter_test

import (
	"bytes"
	"fmt"

	"github.com/metastate-p2p/metastate/protocol/charter"
)

// A founder starts from a template, edits the file, and has it checked.
func Example() {
	c, err := charter.Template("union")
	if err != nil {
		fmt.Println(err)
		return
	}
	expulsion, _ := c.Class(charter.ClassExpulsion)
	fmt.Println("to expel, of 150 members:", expulsion.Needs(150))

	file := charter.YAML(c)
	edited := bytes.Replace(file, []byte("suspend: 72h"), []byte("suspend: 30d"), 1)
	_, err = charter.ParseYAML(edited)
	fmt.Println(err)
	// Output:
	// to expel, of 150 members: 100
	// charter: line 174: suspend: 30d is too long: one officer alone may suspend only so long as a majority needs to meet; write at most 72h
}

func ExampleFraction() {
	f, err := charter.ParseFraction("67%")
	fmt.Println(f, err, f.Needs(6), f.AtLeast(4, 6))
	// Output: 67/100 <nil> 5 false
}
