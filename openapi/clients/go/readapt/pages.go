package readapt

import "iter"

// Page fetches one page of a list, the first one if cursor is nil. It returns the items and the cursor of the next
// page, which is nil after the last.
type Page[T any] func(cursor *string) ([]T, *string, error)

// Items iterates over every item of a list, fetching pages as they are needed. It ends after the first error.
func Items[T any](fetch Page[T]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var cursor *string
		for {
			items, next, err := fetch(cursor)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			if next == nil {
				return
			}
			cursor = next
		}
	}
}
