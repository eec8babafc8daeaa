package inspection

import "errors"

// Sentinel errors. Rooms wrap them with what they were doing; server turns them into gRPC and HTTP codes in one place.
var (
	// ErrInvalid marks input that breaks a rule; the message names the field and the remedy.
	ErrInvalid = errors.New("invalid")
	// ErrNotFound: no such result, recipe, model or image.
	ErrNotFound = errors.New("not found")
	// ErrUnknownRecipe: the frame names a recipe that this node does not have.
	ErrUnknownRecipe = errors.New("unknown recipe")
	// ErrUnknownModel: a recipe or a peer names a model, version or digest that this node does not have.
	ErrUnknownModel = errors.New("unknown model")
	// ErrNotReady: the model is known but not loaded and warmed yet.
	ErrNotReady = errors.New("not ready")
	// ErrOverloaded: a bounded queue is full; the caller should try another node or fall back.
	ErrOverloaded = errors.New("overloaded")
	// ErrDeadline: the job cannot be, or was not, judged before its deadline, or a query took longer than it may.
	ErrDeadline = errors.New("deadline exceeded")
	// ErrFrameConflict: a frame key came back with another image than the one recorded under it.
	ErrFrameConflict = errors.New("same frame key with another image")
	// ErrImage: the image cannot be decoded without doubt (truncated, damaged, wrong size or channels).
	ErrImage = errors.New("bad image")
	// ErrImageTooLarge: the image's header declares more pixels or bytes than the limits allow. It is an ErrImage.
	ErrImageTooLarge = errImageTooLarge{}
	// ErrModelOutput: a model's output is missing, has the wrong shape, or holds a value that is not finite.
	ErrModelOutput = errors.New("bad model output")
	// ErrDiskFull: the data directory cannot take more; nothing is recorded until space is back.
	ErrDiskFull = errors.New("disk full")
	// ErrUnavailable: a resource that the program was built or installed without (OpenCV, ONNX Runtime).
	ErrUnavailable = errors.New("unavailable")
	// ErrExists: there is another one of that name already.
	ErrExists = errors.New("exists already")
	// ErrRefused: what was asked for cannot be done as things stand; the message says what stands in the way.
	ErrRefused = errors.New("refused")
	// ErrGolden: a model does not give the answers on this device that its golden set expects.
	ErrGolden = errors.New("golden check failed")
	// ErrClosed: the room was closed.
	ErrClosed = errors.New("closed")
)

type errImageTooLarge struct{}

func (errImageTooLarge) Error() string        { return "image too large" }
func (errImageTooLarge) Is(target error) bool { return target == ErrImage }
