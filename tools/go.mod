// The generators of proto/, apart from the product's go.mod so that their requirements are not the product's.
// Used with -modfile: go tool -modfile=tools/go.mod protoc-gen-go
module github.com/assay-vision/assay/tools

go 1.26

tool (
	google.golang.org/grpc/cmd/protoc-gen-go-grpc
	google.golang.org/protobuf/cmd/protoc-gen-go
)

require (
	google.golang.org/grpc/cmd/protoc-gen-go-grpc v1.6.2 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)
